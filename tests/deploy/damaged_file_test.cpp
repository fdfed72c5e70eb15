// SPDX-License-Identifier: Apache-2.0
// Every truncation and every change of one byte of a small model file: refused, or nothing changed;
// with checksums put right as a forger would: refused, or a network that runs. Never more than
// twice the memory of the file as it was: every `operator new` of the program is counted.
// Out of line, because GCC takes an inlined pair of replaced operators for a mismatch.
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/session.hpp>

#include <doctest/doctest.h>
#include <malloc.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <support/sealed.hpp>

namespace {

std::size_t live_bytes = 0, peak_bytes = 0;

void* counted(std::size_t size, std::size_t alignment) {
  void* const memory = std::aligned_alloc(alignment, (size + alignment) / alignment * alignment);
  live_bytes += ::malloc_usable_size(memory);
  peak_bytes = std::max(peak_bytes, live_bytes);
  return memory;
}
void release(void* memory) {
  live_bytes -= ::malloc_usable_size(memory);
  std::free(memory);
}

}  // namespace

[[gnu::noinline]] void* operator new(std::size_t size) {
  return counted(size, alignof(std::max_align_t));
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return counted(size, alignof(std::max_align_t));
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  return counted(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment,
                                     const std::nothrow_t&) noexcept {
  return counted(size, static_cast<std::size_t>(alignment));
}
[[gnu::noinline]] void operator delete(void* memory) noexcept {
  release(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept {
  release(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::align_val_t) noexcept {
  release(memory);
}
[[gnu::noinline]] void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  release(memory);
}

namespace {

using namespace bitdial;

std::vector<std::byte> golden(std::string_view version) {
  const auto file = io::MappedFile::open(
      concat(BITDIAL_SOURCE_DIR, "/tests/deploy/golden/model-", version, ".bitdial"));
  REQUIRE_MESSAGE(file.ok(), file.error());
  return {file->bytes().begin(), file->bytes().end()};
}

/// What a file does: its outputs under all plans, or none; and the memory that took.
struct Outcome {
  std::vector<float> outputs;
  std::size_t opening = 0;  ///< bytes
  bool opened = false;
};

Outcome outcome_of(std::span<const std::byte> bytes, bool run = true) {
  Outcome outcome;
  const std::size_t before = live_bytes;
  peak_bytes = live_bytes;
  const auto model = Model::from_bytes(bytes);
  outcome.opening = peak_bytes - before;
  outcome.opened = model.ok();
  if (!model) {
    if (!model.error().starts_with("model in memory: ")) FAIL(model.error());
    return outcome;
  }
  if (!run) return outcome;
  auto session = Session::create(*model, {.path = KernelPath::bytes});
  REQUIRE_MESSAGE(session.ok(), session.error());
  std::vector<std::uint8_t> image(static_cast<std::size_t>(model->input_shape().size()));
  for (std::size_t i = 0; i < image.size(); ++i) image[i] = static_cast<std::uint8_t>(97 * i + 60);
  const auto values = static_cast<std::size_t>(model->output_size());
  outcome.outputs.resize(values * model->plans().size());
  for (std::size_t plan = 0; plan < model->plans().size(); ++plan) {
    const auto part = std::span{outcome.outputs}.subspan(plan * values, values);
    REQUIRE(session->run(image, part, plan));
  }
  return outcome;
}

TEST_CASE("every truncation is refused, within the memory of the whole file") {
  for (const char* version : {"1.0", "1.1", "1.2", "1.3", "1.4"}) {
    const std::vector<std::byte> whole = golden(version);
    const std::size_t allowed = 2 * outcome_of(whole).opening;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      // A copy of exactly this size, so that a sanitizer sees any byte read past the end.
      std::vector<std::byte> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      for (const bool forged : {false, true}) {
        if (forged && !test::seal(part)) continue;
        const Outcome outcome = outcome_of(part);
        CHECK_FALSE(outcome.opened);
        CHECK(outcome.opening <= allowed);
      }
    }
  }
}

TEST_CASE("every value of every byte is refused or changes nothing") {
  std::vector<std::byte> bytes = golden("1.2");
  const Outcome whole = outcome_of(bytes);
  std::size_t unnoticed = 0, changed = 0, large = 0;
  for (std::byte& byte : bytes) {
    const std::byte right = byte;
    std::size_t opened = 0;
    for (unsigned change = 1; change < 256; ++change) {
      byte = right ^ static_cast<std::byte>(change);
      const Outcome outcome = outcome_of(bytes);
      opened += outcome.opened ? 1 : 0;
      changed += outcome.opened && outcome.outputs != whole.outputs ? 1 : 0;
      large += outcome.opening > 2 * whole.opening ? 1 : 0;
    }
    byte = right;
    CHECK((opened == 0 || opened == 255));  // padding, or proved
    unnoticed += opened / 255;
  }
  CHECK(changed == 0);
  CHECK(large == 0);
  CHECK(unnoticed > 0);
  CHECK(unnoticed < bytes.size() / 2);
}

TEST_CASE("a forged byte is refused, or makes another network that runs") {
  for (const char* version : {"1.1", "1.2", "1.3", "1.4"}) {
    const std::vector<std::byte> whole = golden(version);
    const std::size_t allowed = 2 * outcome_of(whole).opening;
    std::size_t refused = 0, changed = 0;
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (const unsigned change : {1U, 2U, 4U, 8U, 16U, 32U, 64U, 128U, 255U}) {
        std::vector<std::byte> bytes = whole;
        bytes[at] ^= static_cast<std::byte>(change);
        REQUIRE(test::seal(bytes));
        Outcome outcome = outcome_of(bytes, false);
        CHECK(outcome.opening <= allowed);
        if (!outcome.opened) {
          ++refused;
          continue;
        }
        ++changed;
        const auto model = Model::from_bytes(bytes);
        std::int64_t values = 0;
        for (const ImageShape& shape : model->shapes()) values += shape.size();
        // A large image is legal: only the time would be tested.
        if (values < 10'000) static_cast<void>(outcome_of(bytes));
      }
    }
    CHECK(refused > 1000);
    CHECK(changed > 1000);
  }
}

}  // namespace
