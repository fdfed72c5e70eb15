// SPDX-License-Identifier: Apache-2.0
// A network of a claim in its packed form.
#pragma once

#include <bitdial/deploy/session.hpp>
#include <cstddef>
#include <memory>
#include <vector>

#include "experiment.hpp"

namespace reproduce {

/// A packed network in memory, and a session on one thread.
struct Packed {
  std::vector<std::byte> bytes;
  std::unique_ptr<bitdial::Session> session;
};

[[nodiscard]] Packed packed(bitdial::nn::Module& network, const Images& images,
                            const std::vector<bitdial::PrecisionPlan>& plans);

/// The share of right answers of the packed network on the test images.
[[nodiscard]] double test(bitdial::Session& session, const Images& images,
                          const bitdial::PrecisionPlan& plan);

}  // namespace reproduce
