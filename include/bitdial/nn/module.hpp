// SPDX-License-Identifier: Apache-2.0
// The interface of every part of a network: run it, walk its state, describe it as a graph.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/autodiff/tape.hpp>
#include <bitdial/nn/parameter.hpp>
#include <bitdial/nn/plan_follower.hpp>
#include <bitdial/nn/quantized_layer.hpp>
#include <bitdial/ops/graph.hpp>
#include <bitdial/quant/plan.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

/// Training uses batch statistics and fake-quantized values; evaluation uses running statistics and
/// exact integer sums.
enum class Mode : std::uint8_t { training, evaluation };

/// The arguments of one forward pass. Precision is an argument, never a state of the network.
struct Pass {
  const PrecisionPlan& plan;
  Mode mode = Mode::evaluation;
};

/// Receives every piece of state of a module, in a fixed order, under dotted names.
class ModuleVisitor {
 public:
  virtual ~ModuleVisitor() = default;
  virtual void parameter(const std::string& name, Parameter& parameter) = 0;
  virtual void buffer(const std::string& name, Tensor<float>& buffer) = 0;
  virtual void layer(const std::string& name, QuantizedLayer& layer) = 0;
  virtual void follower(const std::string& /*name*/, PlanFollower& /*follower*/) {}

  /// Parallel paths of the block `name` begin here; what is visited next is the first path.
  virtual void fork(const std::string& /*name*/) {}
  /// The next path begins, where the first one began.
  virtual void branch() {}
  /// The paths meet.
  virtual void join() {}
};

/// A network as a graph plus its quantized layers and its per-channel maps, in order of appearance.
/// The graph of a network of clips is that of one frame; what it says of time stands beside it.
struct Description {
  /// For the nodes from `first` on, a clip is `count` images of node `value`.
  struct Frames {
    std::int32_t value = 0;
    std::int32_t first = 0;
    std::int64_t count = 1;
  };
  /// Nodes `first .. last - 1` see the frames of a clip as the rows of one image.
  struct AcrossFrames {
    std::int32_t first = 0;
    std::int32_t last = 0;
  };

  /// The numbers of y = fma(x, multiplier[c], bias[c]) under a plan.
  using ScaleShift = std::function<Epilogue(const PrecisionPlan& plan)>;

  ops::Graph graph;
  std::vector<const QuantizedLayer*> layers;
  std::vector<ScaleShift> scale_shifts{};
  std::vector<Frames> frames{};
  std::vector<AcrossFrames> across_frames{};  ///< a packed network has none

  /// The index of the node that is appended next.
  [[nodiscard]] std::int32_t next() const noexcept {
    return static_cast<std::int32_t>(graph.nodes.size());
  }

  /// Appends the per-channel map of node x; returns the index of its node.
  std::int32_t append(std::int32_t x, ScaleShift numbers) {
    scale_shifts.push_back(std::move(numbers));
    return graph.append({.kind = ops::NodeKind::scale_shift,
                         .inputs = {x, -1},
                         .layer = static_cast<std::int32_t>(scale_shifts.size()) - 1});
  }
};

/// One part of a network, from a ReLU to a whole ResNet.
class Module {
 public:
  virtual ~Module() = default;

  /// The output for `x` at the precisions of `pass.plan`. Results in between are dropped: values of
  /// the tape that a caller may read are `x` and the output.
  [[nodiscard]] virtual Var forward(Var x, const Pass& pass) = 0;

  /// Shows parameters, buffers and quantized layers to `visitor`, names prefixed by its
  /// second argument. The default is for modules without state.
  virtual void visit(ModuleVisitor&, const std::string&) {}

  /// Appends this module's nodes to the graph; `x` is the index of its input node. Returns the
  /// index of its output node.
  [[nodiscard]] virtual std::int32_t describe(Description& description, std::int32_t x) const = 0;
};

using ModulePtr = std::unique_ptr<Module>;

/// Drops the value of a result that only its module knew, once the results that depend on it are
/// recorded; a result that is one of `others` (a part that hands its input on) stays.
inline void discard_unless(Var x, std::initializer_list<Var> others) {
  for (const Var& other : others) {
    if (other.index() == x.index()) return;
  }
  x.tape().discard(x);
}

/// `prefix.name`, or `name` at the root.
[[nodiscard]] inline std::string child_name(const std::string& prefix, const std::string& name) {
  return prefix.empty() ? name : prefix + "." + name;
}

/// The graph of a whole network, from its input node on.
[[nodiscard]] inline Description describe(const Module& network) {
  Description description;
  const std::int32_t input = description.graph.append({.kind = ops::NodeKind::input});
  static_cast<void>(network.describe(description, input));
  return description;
}

}  // namespace bitdial::inline BITDIAL_ABI::nn
