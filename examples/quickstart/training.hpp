// SPDX-License-Identifier: Apache-2.0
// Joint training of all precisions, with progress, checkpoints and resume.
#pragma once

#include <memory>
#include <vector>

#include <bitdial/nn/sequential.hpp>
#include <bitdial/quant/plan.hpp>

#include "history.hpp"
#include "images.hpp"

namespace quickstart {

struct Trained {
  std::unique_ptr<bitdial::nn::Sequential> network;
  std::vector<bitdial::PrecisionPlan> plans;
  History history;
  double seconds = 0.0;
  bool complete = false;
};

// Stops early, with `complete` false and a checkpoint, when the user interrupts it.
Trained train_network(const Options& options, const Images& images);

}  // namespace quickstart
