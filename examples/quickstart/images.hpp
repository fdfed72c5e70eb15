// SPDX-License-Identifier: Apache-2.0
// The images of the quickstart: real ones from disk, or generated ones.
#pragma once

#include <bitdial/data/preparation.hpp>

#include "../images.hpp"
#include "options.hpp"

namespace quickstart {

struct Images : examples::Images {
  // What training, evaluation and the packed file do with them: a byte u is u / 255.
  bitdial::data::ImageOptions prepared{};
};

inline Images load_images(const Options& options) {
  if (options.synthetic()) return {examples::synthetic_images(12000, 2000, options.seed)};
  return {examples::fashion_mnist(options.data_directory)};
}

}  // namespace quickstart
