// SPDX-License-Identifier: Apache-2.0
// Private state per switch: a small ordered map whose new entries start as a copy of the first one.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/error.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/nn/quantized_layer.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// States keyed by switch, in the order in which they were added; addresses never change.
///
/// SP-Nets load a single-precision network by copying its batch normalisation, statistics included,
/// to every switch: `add` of a later key does just that. Source: SP-Nets, 2002.02815.
template <class Key, class State>
class StateBank {
 public:
  /// Makes sure that `key` has a state: a copy of the first entry, or `initial` in an empty bank.
  State& add(const Key& key, const State& initial) {
    if (State* present = find(key)) return *present;
    const State& source = entries_.empty() ? initial : *entries_.front().second;
    entries_.emplace_back(key, std::make_unique<State>(source));
    return *entries_.back().second;
  }

  /// Throws `PrecisionError` with the layer that asks and the keys that are there.
  [[nodiscard]] State& at(const Key& key, const nn::LayerPosition& layer = {}) {
    return *require(key, layer);
  }
  [[nodiscard]] const State& at(const Key& key, const nn::LayerPosition& layer = {}) const {
    return *require(key, layer);
  }

  [[nodiscard]] bool contains(const Key& key) const noexcept { return find(key) != nullptr; }
  [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }
  [[nodiscard]] auto begin() const noexcept { return entries_.begin(); }
  [[nodiscard]] auto end() const noexcept { return entries_.end(); }

 private:
  [[nodiscard]] State* find(const Key& key) const noexcept {
    for (const auto& [known, state] : entries_) {
      if (known == key) return state.get();
    }
    return nullptr;
  }

  [[nodiscard]] State* require(const Key& key, const nn::LayerPosition& layer) const {
    if (State* present = find(key)) return present;
    std::vector<std::string> known;
    for (const auto& entry : entries_) known.push_back(entry.first.text());
    throw PrecisionError(concat("switchable ", layer.text(), ": no private state for ", key,
                                "; it has ", known.empty() ? std::string{"none"} : join(known),
                                "; call add_plans (or add_mixtures) before training"));
  }

  std::vector<std::pair<Key, std::unique_ptr<State>>> entries_;
};

}  // namespace bitdial::inline BITDIAL_ABI
