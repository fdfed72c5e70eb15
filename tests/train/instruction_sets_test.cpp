// SPDX-License-Identifier: Apache-2.0
// Training on every kernel table of the machine. A process chooses its table once, at the first
// product, so each table gets a child process; this file has no other test that could choose first.
#include <cstddef>
#include <cstdlib>
#include <string>
#include <vector>

#include <sys/wait.h>
#include <unistd.h>

#include <doctest/doctest.h>
#include <bitdial/kernels/active.hpp>
#include <bitdial/train/sgd.hpp>
#include <support/training_run.hpp>

using namespace bitdial;

namespace {

/// The name of the table, then the bytes of all tensors of the network after three steps.
std::string trained_bytes() {
  test::TrainingRun<train::Sgd, train::SgdOptions> run(
      {.momentum = 0.9F}, {.plans = test::training_plans(),
                           .epochs = 1,
                           .batch_size = 16,
                           .learning_rate = train::ConstantSchedule{.rate = 0.1F},
                           .seed = 9});
  for (int i = 0; i < 3; ++i) static_cast<void>(run.trainer.step());
  std::string bytes = kernels::active_kernels().name;
  for (const Tensor<float>& tensor : test::snapshot(run.network)) {
    const auto raw = std::as_bytes(tensor.span());
    bytes.append(reinterpret_cast<const char*>(raw.data()), raw.size());
  }
  return bytes;
}

/// `trained_bytes` of a child process with BITDIAL_FORCE_ISA = `table`.
std::string trained_with(const char* table) {
  int ends[2] = {};
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    setenv("BITDIAL_FORCE_ISA", table, 1);
    const std::string bytes = trained_bytes();
    for (std::size_t sent = 0; sent < bytes.size();) {
      const ssize_t count = write(ends[1], bytes.data() + sent, bytes.size() - sent);
      if (count <= 0) _exit(1);
      sent += static_cast<std::size_t>(count);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string bytes;
  std::vector<char> block(1 << 16);
  for (ssize_t count = 0; (count = read(ends[0], block.data(), block.size())) > 0;) {
    bytes.append(block.data(), static_cast<std::size_t>(count));
  }
  close(ends[0]);
  int status = 1;
  REQUIRE(waitpid(child, &status, 0) == child);
  REQUIRE(status == 0);
  return bytes;
}

}  // namespace

TEST_CASE("every kernel table trains to the same weights, bit for bit") {
  std::string expected;
  for (const kernels::KernelTable* table : kernels::supported_kernels()) {
    const std::string name = table->name;
    CAPTURE(name);
    const std::string bytes = trained_with(table->name);
    REQUIRE(bytes.size() > name.size() + 1000);
    REQUIRE(bytes.substr(0, name.size()) == name);
    const std::string weights = bytes.substr(name.size());
    if (expected.empty()) expected = weights;
    CHECK(weights == expected);
  }
}
