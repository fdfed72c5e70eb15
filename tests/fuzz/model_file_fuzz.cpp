// SPDX-License-Identifier: Apache-2.0
// A hostile model file is refused with a reason, or runs: on every path and kernel table to the
// same bits, and again after it was written anew.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <bitdial/kernels/dispatch.hpp>
#include <bitdial/runtime.hpp>
#include <support/sealed.hpp>

#include "fuzz.hpp"

namespace {

using namespace bitdial;

/// Large networks are legal; running them would only take time.
bool is_small(const Model& model) {
  constexpr std::int64_t most = 1 << 16;
  std::int64_t values = 0, products = 0;
  const auto& nodes = model.network().graph.nodes;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto input = static_cast<std::size_t>(std::max(0, nodes[i].inputs[0]));
    const ImageShape x = model.shapes()[input], y = model.shapes()[i];
    const ops::Window& w = nodes[i].window;
    values += y.size() + (x.h + 2 * w.padding_h) * (x.w + 2 * w.padding_w) * x.c;
    const std::int64_t depth =
        nodes[i].layer < 0 ? w.kernel_h * w.kernel_w
                           : model.layers()[static_cast<std::size_t>(nodes[i].layer)].depth();
    if (values > most || depth > most) return false;
    products += y.size() * depth;
    if (products > 16 * most) return false;
  }
  return model.plans().size() <= 8;
}

std::vector<float> outputs_of(const Model& model, const kernels::KernelTable& table,
                              KernelPath path) {
  auto session = Session::create(model, {.kernels = &table, .path = path});
  fuzz::require(session.ok(), "a proved model makes a session");
  std::vector<std::uint8_t> image(static_cast<std::size_t>(model.input_shape().size()));
  for (std::size_t i = 0; i < image.size(); ++i) {
    image[i] = static_cast<std::uint8_t>(i * 2654435761U >> 13);
  }
  const auto size = static_cast<std::size_t>(model.output_size());
  std::vector<float> all(size * model.plans().size());
  for (std::size_t plan = 0; plan < model.plans().size(); ++plan) {
    const auto done = session->run(image, std::span{all}.subspan(plan * size, size), plan);
    fuzz::require(done.ok(), "a proved model runs");
  }
  return all;
}

bool equal(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
    return std::bit_cast<std::uint32_t>(x) == std::bit_cast<std::uint32_t>(y) ||
           (std::isnan(x) && std::isnan(y));
  });
}

void check(std::span<const std::byte> bytes) {
  const auto model = Model::from_bytes(bytes);
  if (!model) {
    fuzz::require(model.error().size() > 20, "an error is a sentence");
    return;
  }
  if (!is_small(*model)) return;
  const auto tables = kernels::supported_kernels();
  const std::vector<float> expected = outputs_of(*model, *tables.front(), KernelPath::bytes);
  for (const KernelPath path : kernel_paths) {
    fuzz::require(equal(outputs_of(*model, *tables.back(), path), expected),
                  "another table and path give the same bits");
  }

  PackedNetwork again{model->network(), {}};
  for (const PackedLayer& layer : again.layers) {
    for (const WeightPack& pack : layer.packs) {
      for (std::size_t p = 0; p < static_cast<std::size_t>(pack.bits); ++p) {
        const std::size_t plane = static_cast<std::size_t>(pack.first_plane) + p;
        if (plane > 4096) return;
        if (again.planes.size() <= plane) again.planes.resize(plane + 1);
        const auto stored = model->planes(pack)[p];
        again.planes[plane].assign(stored.begin(), stored.end());
      }
    }
  }
  const auto written = model_bytes(again);
  fuzz::require(written.ok(), "what was read can be written");
  const auto reread = Model::from_bytes(*written);
  fuzz::require(reread.ok(), "what was written can be read");
  fuzz::require(equal(outputs_of(*reread, *tables.front(), KernelPath::bytes), expected),
                "what was written means the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A copy of exactly this size, so that a sanitizer sees any byte read past the end.
  const auto* const begin = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> bytes(begin, begin + size);
  check(bytes);
  if (test::seal(bytes)) check(bytes);
  return 0;
}
