// SPDX-License-Identifier: Apache-2.0
// Reverse-mode differentiation: an append-only list of tensor operations in creation order, and
// the handle that names one of its results.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include <bitdial/autodiff/gradient.hpp>
#include <bitdial/autodiff/stream.hpp>
#include <bitdial/core/assert.hpp>
#include <bitdial/core/batch_group.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/core/random_streams.hpp>
#include <bitdial/core/tensor.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/ops/bit_mask.hpp>
#include <bitdial/ops/channel_moments.hpp>
#include <bitdial/ops/gradient_sums.hpp>
#include <bitdial/ops/products.hpp>

namespace bitdial::inline BITDIAL_ABI {

template <class T>
class BasicTape;

/// One result on a tape: a 16-byte handle, copied freely, valid until the tape is cleared.
template <class T>
class BasicVar {
 public:
  BasicVar() = default;

  [[nodiscard]] BasicTape<T>& tape() const noexcept {
    BITDIAL_ASSERT(tape_ != nullptr);
    return *tape_;
  }
  [[nodiscard]] std::int32_t index() const noexcept { return index_; }

  /// The value, computed now if it was only streamed so far; throws `Error` when it has been
  /// released.
  [[nodiscard]] const Tensor<T>& value() const { return tape().value(*this); }
  /// The gradient of a leaf after `backward`; zeros when the loss does not depend on it.
  [[nodiscard]] const Tensor<T>& grad() const { return tape().grad(*this); }
  /// The shape, also after the value has been released.
  [[nodiscard]] const Shape& shape() const noexcept { return tape().shape(*this); }
  [[nodiscard]] bool needs_grad() const noexcept { return tape().needs_grad(*this); }

 private:
  friend class BasicTape<T>;
  BasicVar(BasicTape<T>* tape, std::int32_t index) noexcept : tape_{tape}, index_{index} {}

  BasicTape<T>* tape_ = nullptr;
  std::int32_t index_ = -1;
};

/// Records operations and runs their derivatives in reverse order of creation.
///
/// Every node is visited once, however often its result is used: a shared subexpression costs
/// nothing extra. One recording serves one `backward`; `clear` starts the next one.
///
/// A value is stored, or streamed: computed piece by piece where it is read. Chains of element-wise
/// operations are streamed, so that they run in one pass and only what derivatives need is kept.
///
/// Lifetime of a value on the tape: until `backward` has passed its node, or until `discard`,
/// whichever comes first; a `Reader` keeps what it reads beyond that. Values of leaves and values
/// of one element (losses) stay until `clear`. Lifetime of a gradient: from its first contribution
/// until the node's own derivative has run. Gradients of leaves stay until `clear`; gradients of
/// parameters live outside the tape.
template <class T>
class BasicTape {
  static_assert(std::is_floating_point_v<T>, "bitdial: BasicTape<T>: T must be float or double.");

 public:
  using Var = BasicVar<T>;
  /// Adds to the inputs' gradients (`give`, `accumulate`), given the gradient of the result, which
  /// it may use up. A function of `TensorView<const T>` will do.
  using Backward = std::function<void(BasicGradient<T>& dy)>;

  /// What a streamed value costs each time it is read.
  enum class Cost : std::uint8_t {
    small,  ///< one pass over something that is kept anyway: recomputed by every reader
    large,  ///< stored by its first reader, unless that one is the only one (`read_once`)
  };

  BasicTape() = default;
  BasicTape(const BasicTape&) = delete;
  BasicTape& operator=(const BasicTape&) = delete;

  /// The processes that record the other parts of the same batch and share its statistics, or
  /// null; `group` must outlive the recording.
  void set_group(BatchGroup* group) noexcept { group_ = group; }
  [[nodiscard]] BatchGroup* group() const noexcept { return group_; }

  /// `backward` calls `done` with the gradient of each parameter once everything that adds to it
  /// has run, so that it can be sent on while the rest is computed. Forgotten by `clear`.
  void on_complete_gradient(std::function<void(Tensor<T>& gradient)> done) {
    on_complete_gradient_ = std::move(done);
  }

  /// An input without gradient.
  Var constant(Tensor<T> value) {
    return append({.op = "constant", .value = share(std::move(value))});
  }

  /// An input whose gradient the tape owns: read it with `Var::grad` after `backward`.
  Var leaf(Tensor<T> value) {
    return append({.op = "leaf", .value = share(std::move(value)), .needs_grad = true});
  }

  /// A trainable tensor that lives outside: its value is read in place, and `backward` adds to
  /// `grad`. Both must outlive the recording. Throws `ShapeError` when the shapes differ.
  Var parameter(const Tensor<T>& value, Tensor<T>& grad) {
    if (value.shape() != grad.shape()) {
      throw ShapeError(
          concat("parameter: value is ", value.shape(), ", gradient is ", grad.shape()));
    }
    Node node{.op = "parameter", .needs_grad = true};
    node.outside_value = &value;
    node.outside_grad = &grad;
    return append(std::move(node));
  }

  /// A tensor that lives outside and has no gradient: read in place, must outlive the recording.
  Var borrow(const Tensor<T>& value) {
    Node node{.op = "borrowed tensor"};
    node.outside_value = &value;
    return append(std::move(node));
  }

  /// Appends the result of an operation. It needs a gradient when one of `inputs` does; otherwise
  /// `backward` is dropped at once. `op` must be a string literal. Throws `Error` when an input is
  /// not of this tape.
  Var record(std::string_view op, Tensor<T> value, std::initializer_list<Var> inputs,
             Backward backward) {
    return record(op, std::move(value), std::span<const Var>{inputs.begin(), inputs.size()},
                  std::move(backward));
  }
  /// The same for any number of inputs.
  Var record(std::string_view op, Tensor<T> value, std::span<const Var> inputs, Backward backward) {
    return append({.op = op, .value = share(std::move(value)), .is_leaf = false}, inputs,
                  std::move(backward));
  }

  /// The same for a streamed value.
  Var record(std::string_view op, const Shape& shape, Stream<T> stream, Cost cost,
             std::initializer_list<Var> inputs, Backward backward) {
    return append(
        {.op = op, .is_leaf = false, .shape = shape, .stream = std::move(stream), .cost = cost},
        std::span<const Var>{inputs.begin(), inputs.size()}, std::move(backward));
  }

  /// `change` gets the complete gradient of x before the derivative of x reads it.
  void on_gradient(Var x, Backward change) {
    Node& n = node(x);
    if (!n.backward) return;
    n.changes_gradient = true;
    n.backward = [change = std::move(change), then = std::move(n.backward)](BasicGradient<T>& dy) {
      change(dy);
      then(dy);
    };
  }

  /// Tells the readers of a streamed result which codes it comes from.
  void attach(Var x, std::shared_ptr<const Codes> codes) noexcept {
    node(x).codes = std::move(codes);
  }

  /// The same for sums over the elements of the result, for one reader.
  void attach(Var x, std::unique_ptr<const ops::ChannelMoments> moments) noexcept {
    node(x).moments = std::move(moments);
  }
  /// Takes them; null where there are none.
  [[nodiscard]] std::unique_ptr<const ops::ChannelMoments> take_moments(Var x) noexcept {
    return std::move(node(x).moments);
  }

  /// Declares that the derivative of y hands its gradient on to x, zero where `mask` is, if it is
  /// not null, and does nothing else.
  void pass_gated(Var y, Var x, std::shared_ptr<const ops::BitMask> mask) noexcept {
    node(y).gated = x;
    node(y).mask = std::move(mask);
  }
  /// Tells who computes the gradient of x which sums over it the derivative of x will want.
  void attach(Var x, std::shared_ptr<ops::GradientSums> sums) noexcept {
    node(x).sums = std::move(sums);
  }
  /// The sums that are wanted of the next contribution to the gradient of x, ready for `blocks`
  /// blocks of it; what they held is lost. Null where none are, where other operations read x, and
  /// where more than masks lies between it and the derivative that wants them. Contributions that
  /// come later discard them.
  [[nodiscard]] std::shared_ptr<ops::GradientSums> start_sums(Var x, std::int64_t blocks) {
    std::shared_ptr<const ops::BitMask> mask;
    for (const Node* n = &node(x); n->uses == 1 && !n->changes_gradient; n = &node(n->gated)) {
      if (n->sums != nullptr) {
        n->sums->start(blocks, std::move(mask));
        return n->sums;
      }
      if (n->gated.tape_ == nullptr) break;
      if (mask == nullptr) {
        mask = n->mask;
      } else if (n->mask != nullptr) {
        mask = std::make_shared<const ops::BitMask>(ops::BitMask::intersection(*mask, *n->mask));
      }
    }
    return nullptr;
  }

  /// Declares that a recorded derivative will read the value of x, so `discard` keeps it.
  void keep(Var x) noexcept { node(x).is_kept = true; }
  /// The same for what the derivative of y will read, if y has one.
  void keep(Var y, std::initializer_list<Var> read) noexcept {
    if (!node(y).needs_grad) return;
    for (const Var& x : read) keep(x);
  }

  /// The caller will not read x again: drops its value unless a derivative needs it.
  void discard(Var x) noexcept {
    Node& n = node(x);
    if (n.is_kept || n.is_leaf) return;
    n.value = nullptr;
    if (n.was_read || !n.needs_grad) n.drop_stream();
  }

  /// Reads the value of x, also after `discard(x)`.
  [[nodiscard]] Reader<T> reader(Var x) {
    if (is_streamed(x) && node(x).cost == Cost::large) static_cast<void>(value(x));
    return read_once(x);
  }
  /// The same for the only reader of x: nothing is stored.
  [[nodiscard]] Reader<T> read_once(Var x) {
    Node& n = node(x);
    n.was_read = true;
    if (is_streamed(x)) return Reader<T>(n.shape, n.stream, n.codes);
    const Tensor<T>& stored = value(x);
    return n.value != nullptr ? Reader<T>(n.value) : Reader<T>(stored);
  }
  /// True when the value of x is not in memory.
  [[nodiscard]] bool is_streamed(Var x) const noexcept {
    const Node& n = node(x);
    return n.value == nullptr && n.stream != nullptr;
  }
  /// True when each reader of x computes it at a small cost.
  [[nodiscard]] bool is_streamed_at_small_cost(Var x) const noexcept {
    return is_streamed(x) && node(x).cost == Cost::small;
  }

  /// Where a derivative adds its contribution to the gradient of x: zeros at first use.
  [[nodiscard]] TensorView<T> accumulate(Var x) {
    Node& n = node(x);
    BITDIAL_ASSERT(n.needs_grad);
    ++n.contributions;
    if (n.outside_grad != nullptr) return n.outside_grad->view();
    if (!n.has_grad) n.grad = BasicGradient<T>(Tensor<T>(n.shape));
    n.has_grad = true;
    return n.grad.values().view();
  }

  /// Lets `write(dx, accumulate)` contribute to the gradient of x: with `accumulate` it adds to dx,
  /// without it overwrites dx, which holds anything.
  template <class Write>
  void contribute(Var x, Write write) {
    Node& n = node(x);
    if (n.outside_grad != nullptr || n.has_grad) return write(accumulate(x), true);
    Tensor<T> first(n.shape, Uninitialized{});
    write(first.view(), false);
    give(x, BasicGradient<T>(std::move(first)));
  }

  /// Adds a contribution to the gradient of x; the first one is taken over as it is.
  void give(Var x, BasicGradient<T> contribution) {
    Node& n = node(x);
    BITDIAL_ASSERT(n.needs_grad && contribution.shape() == n.shape);
    ++n.contributions;
    if (n.outside_grad == nullptr && !n.has_grad) {
      n.grad = std::move(contribution);
      n.has_grad = true;
      return;
    }
    if (n.outside_grad != nullptr) return contribution.add_to(n.outside_grad->view());
    n.grad.add(contribution);
  }

  /// Adds d loss / d leaf to the gradient of every leaf and parameter. `loss` has one element.
  ///
  /// Throws `ShapeError` for another size, `Error` for a second call before `clear` and for a loss
  /// that depends on no leaf or parameter.
  void backward(Var loss) {
    if (loss.tape_ != this) {
      throw Error("backward: the loss and this tape belong to different tapes");
    }
    if (shape(loss).size() != 1) {
      throw ShapeError(concat("backward: the loss must have 1 element, it is ", shape(loss)));
    }
    backward(loss, Tensor<T>(shape(loss), T{1}));
  }

  /// Adds sum_i dy[i] d y[i] / d leaf to the gradient of every leaf and parameter: the derivative
  /// of a loss that was computed elsewhere, whose gradient for y is `dy`.
  ///
  /// Throws `ShapeError` when dy has another shape, else as above.
  void backward(Var y, const Tensor<T>& dy) {
    if (y.tape_ != this) throw Error("backward: y and this tape belong to different tapes");
    if (consumed_) {
      throw Error(
          "backward: this recording was already consumed; clear() the tape and record "
          "the forward pass again, or sum the losses before one backward()");
    }
    if (shape(y) != dy.shape()) {
      throw ShapeError(concat("backward: dy must be ", shape(y), ", it is ", dy.shape()));
    }
    if (!needs_grad(y)) throw Error("backward: the loss depends on no leaf and no parameter");
    static_cast<void>(value(y));
    consumed_ = true;
    const TensorView<T> seed = accumulate(y);
    for (std::int64_t i = 0; i < dy.size(); ++i) seed.data()[i] += dy[i];
    if (on_complete_gradient_) mark_first_uses();
    for (std::int32_t i = static_cast<std::int32_t>(nodes_.size()) - 1; i >= 0; --i) {
      run_derivative(*nodes_[static_cast<std::size_t>(i)]);
    }
  }

  /// What derivatives of convolutions multiply: floats unless told otherwise.
  void set_gradient_products(ops::Products products) noexcept { gradient_products_ = products; }
  [[nodiscard]] ops::Products gradient_products() const noexcept { return gradient_products_; }

  /// DoReFa: to how many bits layers quantize the gradients that flow back into them, 1 to 8; 32,
  /// as from the start: not at all.
  void set_gradient_bits(int bits) noexcept { gradient_bits_ = bits; }
  [[nodiscard]] int gradient_bits() const noexcept { return gradient_bits_; }

  /// Where operations that round at random take their numbers from.
  void set_random_streams(const RandomStreams& streams) noexcept { random_streams_ = streams; }
  [[nodiscard]] RandomStreams& random_streams() noexcept { return random_streams_; }

  /// Whether convolutions of codes sum integers, as they do unless told otherwise: exact, and
  /// faster than products of their values in f32.
  void set_integer_forward(bool on) noexcept { integer_forward_ = on; }
  [[nodiscard]] bool integer_forward() const noexcept { return integer_forward_; }

  /// Forgets every node; all `Var`s of this tape become invalid.
  void clear() noexcept {
    nodes_.clear();
    consumed_ = false;
    on_complete_gradient_ = nullptr;
  }

  [[nodiscard]] std::size_t size() const noexcept { return nodes_.size(); }

  [[nodiscard]] const Tensor<T>& value(Var x) const {
    const Node& n = node(x);
    if (n.outside_value != nullptr) return *n.outside_value;
    n.was_read = true;
    if (n.value == nullptr && n.stream != nullptr) {
      n.value = share(Reader<T>(n.shape, n.stream).computed());
      n.drop_stream();
    }
    if (n.value == nullptr) {
      throw Error(concat("tape: the value of node ", x.index_, " (", n.op, ", ", n.shape,
                         ") was released; read it before backward() or discard()"));
    }
    return *n.value;
  }

  [[nodiscard]] const Tensor<T>& grad(Var x) const {
    const Node& n = node(x);
    if (n.outside_grad != nullptr) return *n.outside_grad;
    if (!n.is_leaf || !n.needs_grad) {
      throw Error(concat("tape: node ", x.index_, " (", n.op,
                         ") keeps no gradient; only leaf() and parameter() do"));
    }
    if (!n.has_grad) n.grad = BasicGradient<T>(Tensor<T>(n.shape));
    n.has_grad = true;
    return n.grad.values();
  }

  [[nodiscard]] const Shape& shape(Var x) const noexcept { return node(x).shape; }
  [[nodiscard]] bool needs_grad(Var x) const noexcept { return node(x).needs_grad; }

  /// The elements of values and gradients that the tape owns now: its memory, less what readers and
  /// derivatives keep; a gradient that several hold counts for each.
  [[nodiscard]] std::int64_t live_elements() const noexcept {
    std::int64_t count = 0;
    for (const auto& n : nodes_) {
      count += (n->value == nullptr ? 0 : n->value->size()) + n->grad.size();
    }
    return count;
  }

 private:
  struct Node {
    std::string_view op;
    mutable std::shared_ptr<const Tensor<T>> value{};
    bool needs_grad = false;
    bool is_leaf = true;
    bool is_kept = false;
    mutable bool was_read = false;
    mutable bool has_grad = false;
    Shape shape{};
    mutable Stream<T> stream{};
    mutable std::shared_ptr<const Codes> codes{};
    std::unique_ptr<const ops::ChannelMoments> moments{};
    std::shared_ptr<ops::GradientSums> sums{};
    Var gated{};  // gets this node's gradient, zero where the mask is
    std::shared_ptr<const ops::BitMask> mask{};
    std::int32_t uses = 0;  // as an input
    std::int32_t contributions = 0;
    bool changes_gradient = false;
    Cost cost = Cost::small;
    mutable BasicGradient<T> grad{};
    const Tensor<T>* outside_value = nullptr;
    Tensor<T>* outside_grad = nullptr;
    bool is_first_use = false;  // of its parameter: nothing before it adds to the gradient
    Backward backward{};

    void drop_stream() const noexcept {
      stream = nullptr;
      codes = nullptr;
    }
  };

  [[nodiscard]] static std::shared_ptr<const Tensor<T>> share(Tensor<T> value) {
    return std::make_shared<const Tensor<T>>(std::move(value));
  }

  Var append(Node node, std::span<const Var> inputs, Backward backward) {
    for (const Var& input : inputs) {
      if (input.tape_ != this) {
        throw Error(
            concat(node.op, ": the operands belong to different tapes; record all of them on one"));
      }
      node.needs_grad = node.needs_grad || needs_grad(input);
      ++this->node(input).uses;
    }
    if (node.needs_grad) node.backward = std::move(backward);
    return append(std::move(node));
  }

  Var append(Node node) {
    if (consumed_) throw Error("tape: clear() it before recording after backward()");
    if (node.outside_value != nullptr) node.shape = node.outside_value->shape();
    if (node.value != nullptr) node.shape = node.value->shape();
    nodes_.push_back(std::make_unique<Node>(std::move(node)));
    return {this, static_cast<std::int32_t>(nodes_.size()) - 1};
  }

  /// Those over a gradient that n hands on, and that had another part.
  void discard_sums(const Node& n) noexcept {
    const Node* last = &n;
    while (last->sums == nullptr && last->gated.tape_ != nullptr) last = &node(last->gated);
    if (last->sums != nullptr) last->sums->discard();
  }

  void mark_first_uses() {
    std::vector<const Tensor<T>*> known;
    for (const auto& n : nodes_) {
      if (n->outside_grad == nullptr) continue;
      n->is_first_use = true;
      for (const Tensor<T>* grad : known) n->is_first_use &= grad != n->outside_grad;
      if (n->is_first_use) known.push_back(n->outside_grad);
    }
  }

  // Later nodes have run, so this gradient is complete and nobody else will read this value.
  void run_derivative(Node& n) {
    if (n.is_first_use) on_complete_gradient_(*n.outside_grad);
    if (n.is_leaf) return;
    // A stream may write masks on its way; nobody asked for these values, but for their gradient.
    if (n.has_grad && n.stream && !n.was_read) {
      static_cast<void>(Reader<T>(n.shape, n.stream).computed());
    }
    if (n.contributions > 1) discard_sums(n);
    if (n.has_grad && n.backward) n.backward(n.grad);
    n.backward = nullptr;
    n.moments = nullptr;
    n.sums = nullptr;
    n.mask = nullptr;
    n.drop_stream();
    n.grad = BasicGradient<T>{};
    if (n.shape.size() != 1) n.value = nullptr;
  }

  [[nodiscard]] Node& node(Var x) noexcept {
    BITDIAL_ASSERT(x.tape_ == this && static_cast<std::size_t>(x.index_) < nodes_.size());
    return *nodes_[static_cast<std::size_t>(x.index_)];
  }
  [[nodiscard]] const Node& node(Var x) const noexcept {
    BITDIAL_ASSERT(x.tape_ == this && static_cast<std::size_t>(x.index_) < nodes_.size());
    return *nodes_[static_cast<std::size_t>(x.index_)];
  }

  std::vector<std::unique_ptr<Node>> nodes_;  // references to nodes stay valid while it grows
  bool consumed_ = false;
  ops::Products gradient_products_ = ops::Products::f32;
  int gradient_bits_ = 32;
  RandomStreams random_streams_{};
  bool integer_forward_ = true;
  BatchGroup* group_ = nullptr;
  std::function<void(Tensor<T>&)> on_complete_gradient_{};
};

/// The tape of training; `BasicTape<double>` serves gradient checks.
using Tape = BasicTape<float>;
using Var = BasicVar<float>;

}  // namespace bitdial::inline BITDIAL_ABI
