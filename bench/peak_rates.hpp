// SPDX-License-Identifier: Apache-2.0
// The multiply-accumulates that one core could do at given widths, from the loops of `peaks.hpp`.
#pragma once

#include <algorithm>
#include <bitdial/ops/qgemm_lookup.hpp>
#include <bitdial/quant/precision.hpp>
#include <string_view>

#include "peaks.hpp"
#include "sampling.hpp"

namespace bench {

/// Peaks of one instruction set, sampled beside what is held against them.
class PeakRates {
 public:
  explicit PeakRates(std::string_view isa) : loops_{peaks_of(isa)} {}

  /// Takes about three milliseconds.
  void sample() {
    bytes_.add(measure_peak(loops_.u8s8));
    planes_.add(measure_peak(loops_.bits));
    lookup_.add(measure_peak(loops_.lookup));
  }

  /// GMAC/s of the fastest loop that serves the widths: bytes; pairs of bit planes; tables of the
  /// sums of activations, one look-up per plane of the weights. 0 where none is known.
  [[nodiscard]] double of(bitdial::Precision bits) const {
    const double codes = std::max(bytes_.median(), planes_.median() / (bits.w * bits.a));
    const bool looks_up = bits.w <= 2 && bits.a <= bitdial::ops::max_lookup_bits;
    return looks_up ? std::max(codes, lookup_.median() / bits.w) : codes;
  }

 private:
  PeakLoops loops_;
  Samples bytes_, planes_, lookup_;
};

}  // namespace bench
