// SPDX-License-Identifier: Apache-2.0
// Classifies frames without exceptions, RTTI, files or a heap: the model is a constant, the session
// lives in a static arena, and after the start nothing is allocated.
//
// usage: firmware      frames are a test pattern, the sensor of this example
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>

#include <bitdial/runtime.hpp>

#include "memory.hpp"

extern "C" const unsigned char model_begin[];
extern "C" const unsigned char model_end[];

namespace {

alignas(64) std::array<std::uint8_t, std::size_t{1} << 18> frame;

int stop(std::string_view why) {
  std::fprintf(stderr, "firmware: %.*s\n", static_cast<int>(why.size()), why.data());
  return 1;
}

void read_sensor(std::span<std::uint8_t> pixels, std::uint32_t time) {
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    pixels[i] = static_cast<std::uint8_t>((i * (time + 3)) >> 2 ^ i >> 5);
  }
}

}  // namespace

int main() {
  const auto bytes = std::as_bytes(std::span{model_begin, model_end});
  const auto model = bitdial::Model::from_bytes(bytes);
  if (!model) return stop(model.error());
  // A named path: then the memory is the same in every run and on every processor of this kind.
  const bitdial::SessionOptions options{.path = bitdial::KernelPath::bytes,
                                        .arena = session_arena()};
  const auto memory = bitdial::Session::plan_memory(*model, options);
  if (!memory) return stop(memory.error());
  auto session = bitdial::Session::create(*model, options);
  if (!session) return stop(session.error());
  const auto size = static_cast<std::size_t>(model->input_shape().size());
  if (size > frame.size()) return stop("the frame buffer is too small for this model");
  std::printf("model %zu bytes, arena %zu of %zu, heap %zu\n", bytes.size(), memory->arena(),
              session_arena().size(), Heap::used());
  Heap::close();

  const std::span<std::uint8_t> pixels = std::span{frame}.first(size);
  const std::size_t plans = model->plans().size();
  for (std::uint32_t time = 0; time < 8; ++time) {
    read_sensor(pixels, time);
    // The dial: here a fixed pattern; a governor decides in the same place.
    const std::size_t plan = time % plans;
    std::int32_t answer = 0;
    const auto done = session->classify(pixels, {&answer, 1}, plan);
    if (!done) return stop(done.error());
    const std::string_view label = model->label(answer);
    std::printf("frame %u, plan %zu: %d %.*s\n", static_cast<unsigned>(time), plan,
                static_cast<int>(answer), static_cast<int>(label.size()), label.data());
  }
  return 0;
}
