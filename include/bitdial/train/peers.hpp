// SPDX-License-Identifier: Apache-2.0
// The processes that train one network together, each on its share of every batch, as the trainer
// sees them. train/distributed_mpi.hpp is one way to connect them.
#pragma once

#include <span>

#include <bitdial/core/batch_group.hpp>
#include <bitdial/core/error.hpp>
#include <bitdial/nn/traverse.hpp>

namespace bitdial::inline BITDIAL_ABI::train {

/// Another process is gone, or does not answer; the weights are those of the last whole step.
class PeerError : public Error {
 public:
  using Error::Error;
};

/// Equal processes 0 .. count() - 1 with the same network. Every process makes the same calls in
/// the same order; all of them may throw `PeerError`.
class Peers : public BatchGroup {
 public:
  [[nodiscard]] virtual int rank() const noexcept = 0;
  [[nodiscard]] virtual int count() const noexcept = 0;
  /// Whether batch normalisation uses the statistics of the whole batch or of each share.
  [[nodiscard]] virtual bool shares_statistics() const noexcept = 0;

  /// The bytes of process 0, everywhere.
  virtual void broadcast(std::span<std::byte> bytes) = 0;
  /// This gradient is complete here: its way to the others may begin.
  virtual void send_gradient(Tensor<float>& gradient) = 0;
  /// Waits for all gradients, those that were sent and the rest of `parameters`. Each is then the
  /// mean over all processes, the same bits everywhere.
  virtual void finish_gradients(const nn::Named<nn::Parameter>& parameters) = 0;
};

}  // namespace bitdial::inline BITDIAL_ABI::train
