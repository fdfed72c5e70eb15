// SPDX-License-Identifier: Apache-2.0
// One file, one input, the same bytes out: on every kernel table of the machine that runs this, on
// every path, with 1, 2 and 7 threads, and on every other machine. The file is committed, so that
// no arithmetic of a test stands between processors, and so is the checksum of its outputs.
//
// odd-network.bitdial: random codes; rectangular, dilated, depthwise and grouped windows, a sum,
// two kinds of pools, a normalised input; plans w8a8, w5a3, w2a2, w1a1 and a mixed one. Its
// accuracies are invented.
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/session.hpp>
#include <bitdial/io/checksum.hpp>
#include <bitdial/kernels/dispatch.hpp>

#include <doctest/doctest.h>

#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace bitdial;

constexpr std::size_t image_count = 7;
constexpr std::uint64_t expected_checksum = 0x7c2df35be8b4138fU;

// Noise, each image brighter than the one before.
std::vector<std::uint8_t> images(std::size_t image_bytes) {
  std::vector<std::uint8_t> pixels(image_count * image_bytes);
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    state = state * 1664525U + 1013904223U;
    const std::size_t image = i / image_bytes;
    pixels[i] = static_cast<std::uint8_t>((state >> 24) * (image + 1) / image_count);
  }
  return pixels;
}

// Outputs as bytes in file order, little-endian.
std::uint64_t checksum_of(const std::vector<float>& outputs) {
  io::ByteWriter bytes;
  for (const float value : outputs) bytes.put(value);
  return io::xxh64(bytes.bytes());
}

TEST_CASE("the committed network gives the committed checksum in every way") {
  const auto model =
      Model::open(concat(BITDIAL_SOURCE_DIR, "/tests/deploy/golden/odd-network.bitdial"));
  REQUIRE_MESSAGE(model.ok(), model.error());
  REQUIRE(model->plans().size() == 5);
  const auto pixels = images(static_cast<std::size_t>(model->input_shape().size()));
  const std::size_t values = image_count * static_cast<std::size_t>(model->output_size());
  for (const kernels::KernelTable* table : kernels::supported_kernels()) {
    for (const KernelPath path : kernel_paths) {
      for (const int threads : {1, 2, 7}) {
        const std::string way = concat(table->name, ", ", name_of(path), ", threads ", threads);
        CAPTURE(way);
        auto session = Session::create(*model, {.threads = threads,
                                                .max_batch = threads == 2 ? 1 : 3,
                                                .kernels = table,
                                                .path = path,
                                                .work_per_thread = 1});
        REQUIRE_MESSAGE(session.ok(), session.error());
        std::vector<float> outputs(model->plans().size() * values);
        for (std::size_t plan = 0; plan < model->plans().size(); ++plan) {
          const auto part = std::span{outputs}.subspan(plan * values, values);
          REQUIRE(session->run(pixels, part, plan));
          // A network that has died would agree with anything.
          CHECK(std::set<float>(part.begin(), part.end()).size() > 2 * values / image_count);
        }
        CHECK(checksum_of(outputs) == expected_checksum);
      }
    }
  }
}

}  // namespace
