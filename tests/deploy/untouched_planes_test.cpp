// SPDX-License-Identifier: Apache-2.0
// Bit planes that no requested plan needs are never touched: they may be unreadable, and their
// pages are not mapped in.
#include <bitdial/deploy/session.hpp>

#include <doctest/doctest.h>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "reference_network.hpp"

namespace {

using namespace bitdial;

constexpr ModelOptions lazily{.weight_check = WeightCheck::when_used};

// One layer of 4096 x 1024 nested weights: eight planes of 512 KiB, most significant first.
struct Example {
  std::vector<std::byte> file;
  std::vector<std::uint8_t> image;
  std::vector<float> expected;  // of the plan of one bit

  Example() {
    reference::Network net{{16, 16, 16}, {.weights = reference::WeightFamily::nested, .seed = 8}};
    static_cast<void>(net.linear(0, 1024));
    net.draw_weights({8});
    net.add_plan(PrecisionPlan::uniform("w1a1"));
    net.add_plan(PrecisionPlan::uniform("w8a8"));
    auto bytes = model_bytes(net.packed);
    REQUIRE_MESSAGE(bytes.ok(), bytes.error());
    file = *std::move(bytes);
    image = net.draw_images(1);
    expected = run_one_bit(*Model::from_bytes(file));
  }

  [[nodiscard]] std::vector<float> run_one_bit(const Model& model) const {
    auto session = Session::create(model, {.plans = {0}});
    REQUIRE_MESSAGE(session.ok(), session.error());
    std::vector<float> outputs(1024);
    REQUIRE(session->run(image, outputs, 0));
    return outputs;
  }
};

// The whole pages of plane `p`.
std::pair<std::uintptr_t, std::size_t> pages_of(const Model& model, std::size_t p) {
  const auto page = static_cast<std::uintptr_t>(::sysconf(_SC_PAGESIZE));
  const std::span<const std::byte> plane = model.planes(model.layers()[0].packs[0])[p];
  const auto begin = reinterpret_cast<std::uintptr_t>(plane.data());
  const std::uintptr_t first = (begin + page - 1) / page * page;
  return {first, (begin + plane.size()) / page * page - first};
}

// How a process that does `work` ends.
template <class Work>
bool ends_well(const Work& work) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    std::signal(SIGSEGV, SIG_DFL);  // nobody shall report what is meant to happen
    ::close(STDERR_FILENO);
    ::_exit(work() ? 0 : 1);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST_CASE("seven of eight planes may be unreadable when one bit is asked for") {
  const Example example;
  const std::size_t size = example.file.size();
  void* const memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  REQUIRE(memory != MAP_FAILED);
  std::memcpy(memory, example.file.data(), size);
  const std::span<const std::byte> bytes{static_cast<const std::byte*>(memory), size};
  const Model model = *Model::from_bytes(bytes, lazily);
  std::size_t unreadable = 0;
  for (std::size_t p = 1; p < 8; ++p) {
    const auto [first, length] = pages_of(model, p);
    REQUIRE(::mprotect(reinterpret_cast<void*>(first), length, PROT_NONE) == 0);
    unreadable += length;
  }
  CHECK(unreadable > size * 3 / 4);

  CHECK(example.run_one_bit(model) == example.expected);
  CHECK(ends_well([&] { return Model::from_bytes(bytes, lazily).ok(); }));
  // Who needs all planes, or wants them proved, reads them.
  CHECK_FALSE(ends_well([&] { return Session::create(model, {.plans = {1}}).ok(); }));
  CHECK_FALSE(ends_well([&] { return Model::from_bytes(bytes).ok(); }));
  ::munmap(memory, size);
}

// The share of a plane's pages that this process has seen; nothing where the kernel does not tell.
std::optional<double> share_seen(const Model& model, std::size_t p) {
  const auto [first, length] = pages_of(model, p);
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  std::vector<std::uint64_t> entries(length / page);
  const auto size = static_cast<ssize_t>(entries.size() * sizeof(std::uint64_t));
  const int pagemap = ::open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  const ssize_t got = ::pread(pagemap, entries.data(), static_cast<std::size_t>(size),
                              static_cast<off_t>(first / page * sizeof(std::uint64_t)));
  ::close(pagemap);
  if (got != size) return std::nullopt;
  const auto present = [](std::uint64_t entry) { return entry >> 63 != 0; };
  return static_cast<double>(std::ranges::count_if(entries, present)) /
         static_cast<double>(entries.size());
}

TEST_CASE("pages of planes that are not needed are not mapped in") {
  const Example example;
  const std::string path = (std::filesystem::temp_directory_path() /
                            ("bitdial-planes-" + std::to_string(::getpid()) + ".bitdial"))
                               .string();
  REQUIRE(io::write_file(path, example.file).ok());
  const Model model = *Model::open(path, lazily);
  CHECK(example.run_one_bit(model) == example.expected);
  std::filesystem::remove(path);
  const auto seen = share_seen(model, 0);
  if (!seen || *seen == 0.0) {
    MESSAGE("skipped: /proc/self/pagemap does not tell which pages are present");
    return;
  }
  CHECK(*seen == 1.0);
  // The kernel may map up to 2 MiB around a page that is asked for, so planes 1 to 4 as well.
  for (std::size_t p = 5; p < 8; ++p) CHECK(*share_seen(model, p) == 0.0);

  auto session = Session::create(model, {.plans = {1}});
  REQUIRE(session.ok());
  for (std::size_t p = 0; p < 8; ++p) CHECK(*share_seen(model, p) == 1.0);
}

}  // namespace
