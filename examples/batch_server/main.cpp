// SPDX-License-Identifier: Apache-2.0
// Clients with different wishes share one model in one process: each request names its plan.
//
// usage: batch_server MODEL [REQUESTS [profile]]
//   REQUESTS   per client, default 500
//   profile    also print where the time of each plan goes, step by step
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <future>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <bitdial/core/random.hpp>
#include <bitdial/deploy/profile_text.hpp>

#include "server.hpp"

namespace {

using namespace bitdial;
using Clock = std::chrono::steady_clock;

struct Client {
  std::size_t plan = 0;
  std::size_t in_flight = 1;  // an interactive client waits for each answer, a background one not
  std::vector<double> milliseconds{};
  std::size_t wrong = 0;
};

// Sends images, and holds every answer against a session of its own.
void run_client(Client& client, const Model& model, BatchServer& server, std::size_t requests,
                std::uint64_t seed) {
  Session own = Session::create(model, {.plans = {client.plan}}).value();
  Random random{seed, 0};
  std::vector<float> expected(static_cast<std::size_t>(model.output_size()));
  for (std::size_t sent = 0; sent < requests; sent += client.in_flight) {
    std::vector<std::vector<std::uint8_t>> images(client.in_flight);
    std::vector<std::future<std::vector<float>>> answers;
    const auto begin = Clock::now();
    for (auto& image : images) {
      image.resize(static_cast<std::size_t>(model.input_shape().size()));
      for (std::uint8_t& pixel : image) pixel = static_cast<std::uint8_t>(random.below(256));
      answers.push_back(server.submit(image, client.plan));
    }
    for (std::size_t i = 0; i < answers.size(); ++i) {
      const std::vector<float> answer = answers[i].get();
      const std::chrono::duration<double, std::milli> time = Clock::now() - begin;
      client.milliseconds.push_back(time.count());
      own.run(images[i], expected, client.plan).value();
      client.wrong += answer != expected;
    }
  }
}

std::size_t count_of(const std::string& text) {
  char* end = nullptr;
  const long count = std::strtol(text.c_str(), &end, 10);
  if (*end != '\0' || count < 1 || count > 1'000'000'000) {
    throw std::runtime_error("REQUESTS is \"" + text + "\", expected a number from 1 on");
  }
  return static_cast<std::size_t>(count);
}

int run(const std::string& path, std::size_t requests) {
  const Model model = Model::open(path).value();
  BatchServer server{model, 16};
  std::vector<Client> clients;
  for (std::size_t plan = 0; plan < model.plans().size(); ++plan) {
    clients.push_back({.plan = plan, .in_flight = plan == 0 ? std::size_t{1} : std::size_t{8}});
  }
  const auto start = Clock::now();
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < clients.size(); ++i) {
      threads.emplace_back([&, i] { run_client(clients[i], model, server, requests, i); });
    }
  }
  const std::chrono::duration<double> time = Clock::now() - start;

  std::printf("%-10s %8s %10s %9s %9s %10s %6s\n", "plan", "accuracy", "in flight", "requests",
              "median", "99 %", "wrong");
  std::size_t answered = 0, wrong = 0;
  for (Client& client : clients) {
    auto& times = client.milliseconds;
    std::sort(times.begin(), times.end());
    answered += times.size();
    wrong += client.wrong;
    const PackedPlan& plan = model.plans()[client.plan];
    char accuracy[16] = "-";
    if (plan.accuracy) {
      std::snprintf(accuracy, sizeof accuracy, "%.2f%%", 100.0 * plan.accuracy->top1);
    }
    std::printf("%-10s %8s %10zu %9zu %6.3f ms %7.3f ms %6zu\n", plan.name().c_str(), accuracy,
                client.in_flight, times.size(), times[times.size() / 2],
                times[times.size() * 99 / 100], client.wrong);
  }
  std::printf("%zu answers in %zu batches, %.0f a second\n", answered, server.batches(),
              static_cast<double>(answered) / time.count());
  return wrong == 0 ? 0 : 1;
}

void print_profile(const std::string& path) {
  Session session = Session::create(Model::open(path).value()).value();
  std::printf("\n%s", profile_table(profile(session, {.seconds = 0.5}).value()).c_str());
}

}  // namespace

int main(int argc, char** argv) {
  const bool with_profile = argc == 4 && std::string_view{argv[3]} == "profile";
  if (argc < 2 || argc > (with_profile ? 4 : 3)) {
    std::fprintf(stderr, "usage: batch_server MODEL [REQUESTS [profile]]\n");
    return 2;
  }
  try {
    const int status = run(argv[1], argc > 2 ? count_of(argv[2]) : 500);
    if (with_profile) print_profile(argv[1]);
    return status;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "batch_server: %s\n", error.what());
    return 1;
  }
}
