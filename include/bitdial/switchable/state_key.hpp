// SPDX-License-Identifier: Apache-2.0
// Which precisions share their private state: the keys of a layer's bank.
#pragma once

#include <concepts>
#include <string>

#include <bitdial/core/text.hpp>
#include <bitdial/quant/precision.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What a plan means for one layer. A `Precision` is the request for a layer that runs at it.
struct StateRequest {
  Precision requested;  ///< what the plan asks of the layer
  Precision executed;   ///< what the layer runs at: `requested`, or its pinned precision
  /// What the layer runs at whose output comes in; `w32a32` for the layer that reads the image.
  Precision previous{};

  constexpr StateRequest(Precision own) noexcept : requested{own}, executed{own} {}
  constexpr StateRequest(Precision asked, Precision own, Precision before) noexcept
      : requested{asked}, executed{own}, previous{before} {}
};

/// SP-Nets: one state per pair of weight and activation bits.
struct KeyByPair {
  using Key = Precision;
  [[nodiscard]] static Key key(const StateRequest& request) { return request.requested; }
};

/// Any-Precision and AdaBits: one state per activation width, whatever the weights.
struct KeyByActivationBits {
  struct Key {
    int bits = 32;
    [[nodiscard]] std::string text() const { return concat("a", bits); }
    friend bool operator==(const Key&, const Key&) = default;
  };
  [[nodiscard]] static Key key(const StateRequest& request) { return {request.requested.a}; }
};

/// One state for all precisions: what switchable networks are compared with. Joint training
/// collapses with it, since statistics of one precision are wrong for another (SP-Nets,
/// 2002.02815); learned clipping values are shared too.
struct KeyShared {
  struct Key {
    [[nodiscard]] std::string text() const { return "shared"; }
    friend bool operator==(const Key&, const Key&) = default;
  };
  [[nodiscard]] static Key key(const StateRequest&) { return {}; }
};

/// Bit-Mixer's transitional batch normalisation: one state per pair (precision of the layer before,
/// own precision), so n^2 states for n precisions; layers may then change their precision one by
/// one. `add_mixtures` creates them all. Pinned layers count with their pinned precision.
///
/// Bulat and Tzimiropoulos, "Bit-Mixer", ICCV 2021. Inferred: what comes before a layer behind a
/// residual block is the last layer of the block's body.
struct KeyByTransition {
  struct Key {
    Precision previous{};
    Precision own{};
    [[nodiscard]] std::string text() const { return concat(previous, "-", own); }
    friend bool operator==(const Key&, const Key&) = default;
  };
  [[nodiscard]] static Key key(const StateRequest& request) {
    return {request.previous, request.executed};
  }
};

/// Names the private state of a layer from what a plan means for it.
template <class P>
concept KeyPolicy = requires(const StateRequest& request) {
  typename P::Key;
  { P::key(request) } -> std::same_as<typename P::Key>;
};

}  // namespace bitdial::inline BITDIAL_ABI
