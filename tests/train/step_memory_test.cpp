// SPDX-License-Identifier: Apache-2.0
// What a training step asks the system for: nothing, once two steps have shown what it needs.
#include <atomic>
#include <cstddef>
#include <cstdlib>
#include <new>

#include <doctest/doctest.h>
#include <bitdial/core/block_cache.hpp>
#include <bitdial/data/synthetic.hpp>
#include <bitdial/models/resnet_cifar.hpp>
#include <bitdial/train/sgd.hpp>
#include <bitdial/train/trainer.hpp>

using namespace bitdial;

namespace {

std::atomic<int> large_blocks = 0;

void* counted(std::size_t bytes, std::size_t alignment) {
  if (bytes >= CachedBlocks::smallest) ++large_blocks;
  void* memory = nullptr;
  if (posix_memalign(&memory, alignment, bytes) != 0) throw std::bad_alloc{};
  return memory;
}

}  // namespace

void* operator new(std::size_t bytes) {
  return counted(bytes, alignof(std::max_align_t));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
  return counted(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
  std::free(memory);
}

TEST_CASE("after two steps a joint step allocates no large block") {
  const data::Dataset images = data::make_synthetic({.count = 64});
  const std::vector<PrecisionPlan> plans{PrecisionPlan::uniform("w32a32"),
                                         PrecisionPlan::uniform("w4a4"),
                                         PrecisionPlan::uniform("w1a1")};
  const Shape image = images.image_shape();
  const auto net = models::resnet_cifar<BitList<8, 4, 1>>(
      {.depth = 8, .in_channels = image[2], .classes = images.classes()});
  nn::initialize(*net, 1);
  add_plans(*net, plans);
  train::Sgd sgd(nn::parameters(*net));
  train::Trainer trainer(*net, images, sgd, {.plans = plans, .epochs = 10, .batch_size = 32});
  trainer.step();
  trainer.step();
  CHECK(large_blocks > 0);
  large_blocks = 0;
  for (int i = 0; i < 4; ++i) trainer.step();
  CHECK(large_blocks == 0);
}
