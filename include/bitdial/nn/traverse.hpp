// SPDX-License-Identifier: Apache-2.0
// Walks over a network: its parameters, their elements, its named tensors, its quantized layers.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/parallel.hpp>
#include <bitdial/nn/module.hpp>
#include <bitdial/nn/parameter.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

template <class T>
using Named = std::vector<std::pair<std::string, T*>>;

/// Quantized layers that belong together, such as those of a residual block: `first .. first +
/// count - 1` in the order of a `PrecisionPlan`.
struct LayerBlock {
  std::string name;
  int first = 0;
  int count = 0;

  friend bool operator==(const LayerBlock&, const LayerBlock&) = default;
};

namespace detail {

/// A visitor from three functions of (name, item).
template <class OnParameter, class OnBuffer, class OnLayer>
class Walk final : public ModuleVisitor {
 public:
  Walk(OnParameter on_parameter, OnBuffer on_buffer, OnLayer on_layer)
      : on_parameter_{on_parameter}, on_buffer_{on_buffer}, on_layer_{on_layer} {}
  void parameter(const std::string& name, Parameter& item) override { on_parameter_(name, item); }
  void buffer(const std::string& name, Tensor<float>& item) override { on_buffer_(name, item); }
  void layer(const std::string& name, QuantizedLayer& item) override { on_layer_(name, item); }

 private:
  OnParameter on_parameter_;
  OnBuffer on_buffer_;
  OnLayer on_layer_;
};

/// Follows the layers of a network along its blocks.
class Structure final : public ModuleVisitor {
 public:
  struct Layer {
    QuantizedLayer* layer = nullptr;
    int previous = -1;
    std::string name{};
  };
  void parameter(const std::string&, Parameter&) override {}
  void buffer(const std::string&, Tensor<float>&) override {}
  void layer(const std::string& name, QuantizedLayer& item) override {
    layers.push_back({&item, std::exchange(last_, static_cast<int>(layers.size())), name});
  }
  void fork(const std::string& name) override {
    if (forks_.empty()) blocks.push_back({name, static_cast<int>(layers.size()), 0});
    forks_.push_back({.start = last_});
  }
  void branch() override {
    Fork& fork = forks_.back();
    if (!fork.first_end) fork.first_end = last_;
    last_ = fork.start;
  }
  void join() override {
    last_ = forks_.back().first_end.value_or(last_);
    forks_.pop_back();
    if (!forks_.empty()) return;
    blocks.back().count = static_cast<int>(layers.size()) - blocks.back().first;
    if (blocks.back().count == 0) blocks.pop_back();
  }

  std::vector<Layer> layers;
  std::vector<LayerBlock> blocks;

 private:
  struct Fork {
    int start;                       // the layer before the paths
    std::optional<int> first_end{};  // the last layer of the first path
  };
  std::vector<Fork> forks_;
  int last_ = -1;
};

inline constexpr auto skip = [](const std::string&, auto&) {};

}  // namespace detail

/// The parameters of a network with their names, in visiting order.
[[nodiscard]] inline Named<Parameter> parameters(Module& network) {
  Named<Parameter> found;
  const auto keep = [&](const std::string& name, Parameter& p) { found.emplace_back(name, &p); };
  detail::Walk walk{keep, detail::skip, detail::skip};
  network.visit(walk, "");
  return found;
}

/// Every tensor that a checkpoint must hold: parameter values and buffers, with their names.
[[nodiscard]] inline Named<Tensor<float>> state(Module& network) {
  Named<Tensor<float>> found;
  const auto value = [&](const std::string& name, Parameter& p) {
    found.emplace_back(name, &p.value);
  };
  const auto buffer = [&](const std::string& name, Tensor<float>& b) {
    found.emplace_back(name, &b);
  };
  detail::Walk walk{value, buffer, detail::skip};
  network.visit(walk, "");
  return found;
}

/// The quantized layers with their names, in the order of a `PrecisionPlan`.
[[nodiscard]] inline Named<QuantizedLayer> quantized_layers(Module& network) {
  Named<QuantizedLayer> found;
  const auto keep = [&](const std::string& name, QuantizedLayer& l) {
    found.emplace_back(name, &l);
  };
  detail::Walk walk{detail::skip, detail::skip, keep};
  network.visit(walk, "");
  return found;
}

namespace detail {

/// The followers of a network, each with the number of quantized layers before it.
class FollowerWalk final : public ModuleVisitor {
 public:
  struct Found {
    PlanFollower* follower = nullptr;
    int layers_before = 0;
  };
  std::vector<Found> found;
  int layers = 0;

  void parameter(const std::string&, Parameter&) override {}
  void buffer(const std::string&, Tensor<float>&) override {}
  void layer(const std::string&, QuantizedLayer&) override { ++layers; }
  void follower(const std::string&, PlanFollower& item) override {
    found.push_back({&item, layers});
  }
};

[[nodiscard]] inline FollowerWalk followers(Module& network) {
  FollowerWalk walk;
  network.visit(walk, "");
  return walk;
}

}  // namespace detail

/// The parts with private state that are no quantized layers, in visiting order.
[[nodiscard]] inline std::vector<PlanFollower*> plan_followers(Module& network) {
  std::vector<PlanFollower*> all;
  for (const auto& entry : detail::followers(network).found) all.push_back(entry.follower);
  return all;
}

/// Gives each quantized layer its position in a plan and its name; returns their number. Call it
/// once when a network is complete (the functions of `models/` do).
inline int number_layers(Module& network) {
  detail::Structure structure;
  network.visit(structure, "");
  const int count = static_cast<int>(structure.layers.size());
  for (int index = 0; index < count; ++index) {
    const auto& [layer, previous, name] = structure.layers[static_cast<std::size_t>(index)];
    LayerPosition position{.index = index, .count = count, .previous = previous, .name = name};
    if (previous >= 0) {
      const QuantizedLayer& before = *structure.layers[static_cast<std::size_t>(previous)].layer;
      if (before.is_pinned()) position.previous_pinned = before.executed(PrecisionPlan{});
    }
    layer->set_position(std::move(position));
  }
  for (const auto& entry : detail::followers(network).found) {
    if (count == 0) break;
    const int leader = std::min(entry.layers_before, count - 1);
    entry.follower->set_leader(*structure.layers[static_cast<std::size_t>(leader)].layer);
  }
  return count;
}

/// The blocks of a network with parallel paths (`Residual` and others that fork), in order; a block
/// inside a block is part of the outer one. Layers outside of blocks are in none.
[[nodiscard]] inline std::vector<LayerBlock> blocks(Module& network) {
  detail::Structure structure;
  network.visit(structure, "");
  return structure.blocks;
}

/// The number of weights, biases, gammas and betas: with one plan that of publications, since
/// switchable batch normalisation has gammas and betas of its own for every key of the added plans.
/// What quantizers learn (`ParameterRole::clip`) and the shares of a search come on top.
[[nodiscard]] inline std::int64_t parameter_count(Module& network) {
  std::int64_t count = 0;
  for (const auto& [name, parameter] : parameters(network)) {
    const ParameterRole role = parameter->role;
    if (role == ParameterRole::clip || role == ParameterRole::architecture) continue;
    count += parameter->value.size();
  }
  return count;
}

/// Elements of each run of `for_each_run` but the last of a parameter.
inline constexpr std::size_t most_of_run = 1 << 13;

/// Calls body(i, begin, end) for runs of elements of every parameter i, over threads: one pass over
/// all parameters, however small they are.
template <class Body>
void for_each_run(const nn::Named<nn::Parameter>& parameters, Body body) {
  struct Run {
    std::size_t parameter;
    std::int64_t begin;
    std::int64_t end;
  };
  constexpr auto most = static_cast<std::int64_t>(most_of_run);
  std::vector<Run> runs;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::int64_t size = parameters[i].second->value.size();
    for (std::int64_t begin = 0; begin < size; begin += most) {
      runs.push_back({i, begin, std::min(size, begin + most)});
    }
  }
  parallel_for(static_cast<std::int64_t>(runs.size()), 4,
               [&](std::int64_t first, std::int64_t last) {
                 for (std::int64_t r = first; r < last; ++r) {
                   const Run& run = runs[static_cast<std::size_t>(r)];
                   body(run.parameter, run.begin, run.end);
                 }
               });
}

/// Clears every gradient.
inline void zero_gradients(Module& network) {
  const Named<Parameter> all = parameters(network);
  for_each_run(all, [&](std::size_t i, std::int64_t begin, std::int64_t end) {
    std::fill_n(all[i].second->grad.data() + begin, end - begin, 0.0F);
  });
}

}  // namespace bitdial::inline BITDIAL_ABI::nn
