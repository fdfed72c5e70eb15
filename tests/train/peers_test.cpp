// SPDX-License-Identifier: Apache-2.0
// Several trainers in threads of one program stand in for several processes.
#include <algorithm>
#include <barrier>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/quant/policies/lq_nets.hpp>
#include <bitdial/quant/policies/lsq.hpp>
#include <bitdial/quant/policies/lsq_plus.hpp>
#include <bitdial/quant/policies/qil.hpp>
#include <bitdial/train/peers.hpp>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/trainer.hpp>

#include "support/tensors.hpp"
#include "support/training_run.hpp"

using namespace bitdial;

namespace {

/// What the threads of one group share.
struct Meeting {
  explicit Meeting(int size) : count{size}, barrier{size}, spans(static_cast<std::size_t>(size)) {}
  int count;
  std::barrier<> barrier;
  std::vector<std::span<double>> spans;
  std::span<std::byte> source;
};

class ThreadPeers final : public train::Peers {
 public:
  ThreadPeers(Meeting& meeting, int rank, bool shares)
      : meeting_{&meeting}, rank_{rank}, shares_{shares} {}
  [[nodiscard]] int rank() const noexcept override { return rank_; }
  [[nodiscard]] int count() const noexcept override { return meeting_->count; }
  [[nodiscard]] bool shares_statistics() const noexcept override { return shares_; }

  void sum(std::span<double> values) override {
    meeting_->spans[static_cast<std::size_t>(rank_)] = values;
    meeting_->barrier.arrive_and_wait();
    std::vector<double> total(values.size());
    for (const auto& part : meeting_->spans) {
      REQUIRE(part.size() == values.size());
      for (std::size_t i = 0; i < total.size(); ++i) total[i] += part[i];
    }
    meeting_->barrier.arrive_and_wait();
    std::ranges::copy(total, values.begin());
  }
  void broadcast(std::span<std::byte> bytes) override {
    if (rank_ == 0) meeting_->source = bytes;
    meeting_->barrier.arrive_and_wait();
    REQUIRE(meeting_->source.size() == bytes.size());
    if (rank_ != 0) std::ranges::copy(meeting_->source, bytes.begin());
    meeting_->barrier.arrive_and_wait();
  }
  void send_gradient(Tensor<float>& gradient) override { sent.push_back(&gradient); }
  void finish_gradients(const nn::Named<nn::Parameter>& parameters) override {
    for (const auto& [name, parameter] : parameters) {
      std::vector<double> values(parameter->grad.span().begin(), parameter->grad.span().end());
      sum(values);
      for (std::size_t i = 0; i < values.size(); ++i) {
        parameter->grad.data()[i] = static_cast<float>(values[i] / meeting_->count);
      }
    }
  }

  std::vector<const Tensor<float>*> sent;

 private:
  Meeting* meeting_;
  int rank_;
  bool shares_;
};

using MakeNetwork = nn::Sequential (*)(std::uint64_t seed);

/// The state after three steps of batch size 24 in all, by `count` trainers; of the one with this
/// rank, the last unless told otherwise. Running statistics that are not shared are left out.
std::vector<Tensor<float>> trained_by(int count, bool shares, const Teaching& teaching = {},
                                      const train::BlockSwap& block_swap = {},
                                      MakeNetwork make_network = test::training_network<>,
                                      int seen = -1) {
  Meeting meeting(count);
  std::vector<Tensor<float>> result;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank) {
    threads.emplace_back([&, rank] {
      ThreadPeers peers(meeting, rank, shares);
      // Weights of process 0 count: the others start elsewhere.
      nn::Sequential network = make_network(static_cast<std::uint64_t>(rank) + 1);
      train::Sgd optimizer(nn::parameters(network));
      train::Trainer trainer(network, test::training_data(), optimizer,
                             {.plans = test::training_plans(),
                              .epochs = 2,
                              .batch_size = 24 / count,
                              .learning_rate = train::ConstantSchedule{.rate = 0.01F},
                              .teaching = teaching,
                              .block_swap = block_swap,
                              .peers = &peers});
      for (int step = 0; step < 3; ++step) trainer.step();
      if (rank != (seen < 0 ? count - 1 : seen)) return;
      if (shares) {
        result = test::snapshot(network);
      } else {
        for (const auto& [name, found] : nn::parameters(network)) result.push_back(found->value);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return result;
}

/// A network of activations with learned numbers, in every layer but the first.
template <class Activations>
nn::Sequential learning_network(std::uint64_t seed) {
  using Bits = BitList<8, 4, 2>;
  nn::Sequential net;
  net.add<SwitchableLayer<nn::Conv2d, Bits, DoReFaWeights, DoReFaActivations>>(
      "stem", nn::Conv2dOptions{.in = 1, .out = 8, .kernel = 3, .stride = 2, .padding = 1});
  net.add<nn::Relu>("stem.relu");
  net.add<SwitchableLayer<nn::Conv2d, Bits, DoReFaWeights, Activations>>(
      "middle", nn::Conv2dOptions{.in = 8, .out = 16, .kernel = 3, .stride = 2, .padding = 1});
  net.add<nn::Relu>("middle.relu");
  net.add<nn::GlobalAveragePool>("pool");
  net.add<SwitchableLayer<nn::Linear, Bits, DoReFaWeights, Activations>>(
      "head", nn::LinearOptions{.in = 16, .out = 10});
  nn::number_layers(net);
  nn::initialize(net, seed);
  add_plans(net, test::training_plans());
  return net;
}

/// The largest difference of two states.
float distance(const std::vector<Tensor<float>>& a, const std::vector<Tensor<float>>& b) {
  REQUIRE(a.size() == b.size());
  float largest = 0.0F;
  for (std::size_t i = 0; i < a.size(); ++i) {
    for (std::int64_t j = 0; j < a[i].size(); ++j) {
      largest = std::max(largest, std::abs(a[i][j] - b[i][j]));
    }
  }
  return largest;
}

}  // namespace

TEST_CASE("two or three processes end with the weights of one with the whole batch") {
  const auto one = trained_by(1, true);
  CHECK(distance(one, trained_by(2, true)) < 2e-3F);
  CHECK(distance(one, trained_by(3, true)) < 2e-3F);
  // Without common statistics they are another optimisation, yet the same in every run.
  const auto own = trained_by(2, false);
  CHECK(distance(trained_by(1, false), own) > 1e-3F);
  CHECK(distance(own, trained_by(2, false)) == 0.0F);
}

TEST_CASE_TEMPLATE("learned activations start and move alike in all processes", Activations,
                   LsqActivations, LsqPlusActivations, QilActivations, LqNetsActivations) {
  const auto make = learning_network<Activations>;
  for (const bool shares : {true, false}) {
    CAPTURE(shares);
    const auto first = trained_by(2, shares, {}, {}, make, 0);
    CHECK(distance(first, trained_by(2, shares, {}, {}, make, 1)) == 0.0F);
  }
}

TEST_CASE("a basis is learned from the whole batch") {
  const auto make = learning_network<LqNetsActivations>;
  const auto one = trained_by(1, true, {}, {}, make);
  CHECK(distance(one, trained_by(2, true, {}, {}, make)) < 2e-3F);
  CHECK(distance(one, trained_by(3, true, {}, {}, make)) < 2e-3F);
}

TEST_CASE("processes choose the same teachers and swap the same blocks") {
  const train::BlockSwap block_swap{.probability = train::ConstantSchedule{.rate = 0.5F},
                                    .blocks = {{.name = "middle", .first = 1, .count = 1}}};
  const auto one = trained_by(1, true, methods::coquant(), block_swap);
  CHECK(distance(one, trained_by(2, true, methods::coquant(), block_swap)) < 2e-3F);
  CHECK(distance(one, trained_by(1, true)) > 1e-3F);
}

TEST_CASE("without a limit each gradient is sent once, complete, in the last backward pass") {
  Meeting meeting(1);
  ThreadPeers peers(meeting, 0, false);
  nn::Sequential network = test::training_network();
  train::Sgd optimizer(nn::parameters(network));
  train::Trainer trainer(
      network, test::training_data(), optimizer,
      {.plans = test::training_plans(), .batch_size = 8, .gradient_share = 0.0F, .peers = &peers});
  trainer.step();
  std::vector<const Tensor<float>*> sorted = peers.sent;
  std::ranges::sort(sorted);
  CHECK(std::ranges::adjacent_find(sorted) == sorted.end());
  // Shared weights and the private state of the last plan; the head comes first.
  std::size_t expected = 0;
  for (const auto& named : nn::parameters(network)) {
    const std::string& name = named.first;
    const nn::Parameter* const parameter = named.second;
    const bool is_of_others = test::contains(name, "bn.w8a8") || test::contains(name, "bn.w4a4");
    CAPTURE(name);
    CHECK(std::ranges::binary_search(sorted, &parameter->grad) != is_of_others);
    expected += is_of_others ? 0 : 1;
    if (name == "stem.weight") CHECK(peers.sent.back() == &parameter->grad);
  }
  CHECK(peers.sent.size() == expected);
}

TEST_CASE("parts that are limited are sent plan by plan, each in its own backward pass") {
  Meeting meeting(1);
  ThreadPeers peers(meeting, 0, false);
  nn::Sequential network = test::training_network();
  train::Sgd optimizer(nn::parameters(network));
  train::Trainer trainer(network, test::training_data(), optimizer,
                         {.plans = test::training_plans(), .batch_size = 8, .peers = &peers});
  trainer.step();
  for (const auto& named : nn::parameters(network)) {
    const std::string& name = named.first;
    const bool is_private = test::contains(name, "bn.");
    CAPTURE(name);
    CHECK(std::ranges::count(peers.sent, &named.second->grad) == (is_private ? 1 : 3));
  }
}
