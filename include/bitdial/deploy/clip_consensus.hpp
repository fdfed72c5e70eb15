// SPDX-License-Identifier: Apache-2.0
// Clips of video on a packed network of images: its outputs for each frame, and their mean.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/session.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// clip[k] = (sum over the frames t, one by one, of frames[t, k]) / T: the numbers of
/// `nn::MeanOverFrames`, bit for bit. T is frames.size() / clip.size(), at least 1.
inline void consensus(std::span<const float> frames, std::span<float> clip) noexcept {
  const std::size_t count = frames.size() / clip.size();
  for (std::size_t k = 0; k < clip.size(); ++k) {
    float sum = 0.0F;
    for (std::size_t t = 0; t < count; ++t) sum += frames[t * clip.size() + k];
    clip[k] = sum / static_cast<float>(count);
  }
}

/// Runs clips of `frames` frames on the packed backbone of an `nn::TemporalSegments`. The session
/// must outlive the runner, which takes its memory when it is made.
///
/// A frame may also come alone: run it on the session and call `consensus` on the last T outputs.
class ClipRunner {
 public:
  /// Fails for frames < 1.
  [[nodiscard]] static Result<ClipRunner> create(Session& session, std::int64_t frames) {
    if (frames < 1) {
      return Failure{concat("clip runner: expected at least 1 frame, got ", frames)};
    }
    return ClipRunner{session, frames};
  }

  /// The outputs for one clip, [T, H, W, C] bytes, at `plan`: an index, a name or a plan, as
  /// `Session::run` takes it. Errors name the size or plan that is wrong; then nothing was written.
  template <class Plan>
  [[nodiscard]] Result<void> run(std::span<const std::uint8_t> clip, std::span<float> outputs,
                                 const Plan& plan) {
    const auto values = static_cast<std::size_t>(session_->model().output_size());
    if (outputs.size() != values) {
      return Failure{concat("clip runner: ", outputs.size(), " outputs, expected ", values)};
    }
    auto done = session_->run(clip, frame_outputs_, plan);
    if (done) consensus(frame_outputs_, outputs);
    return done;
  }

 private:
  ClipRunner(Session& session, std::int64_t frames)
      : session_{&session},
        frame_outputs_(static_cast<std::size_t>(frames * session.model().output_size())) {}

  Session* session_;
  std::vector<float> frame_outputs_;
};

}  // namespace bitdial::inline BITDIAL_ABI
