// SPDX-License-Identifier: Apache-2.0
// Clips of video in networks of image operations: frames as images, convolution over time,
// consensus of frames.
//
// A clip of T frames [H, W, C] is stored as one image of T H rows, so data sets, loaders and
// trainers take clips as they are. In a network its frames are separate images, [N T, H, W, C]; all
// three shapes have the same elements in the same order.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include <bitdial/autodiff/functions.hpp>
#include <bitdial/autodiff/reshape.hpp>
#include <bitdial/nn/module.hpp>

namespace bitdial::inline BITDIAL_ABI::nn {

namespace detail {

/// x [first, ...] must consist of groups of `frames` along its first axis or, as rows, its second.
inline void require_frames(std::string_view who, const Shape& x, int axis, std::int64_t frames) {
  if (x.rank() != 4 || x[axis] % frames != 0) {
    throw ShapeError(concat(who, ": expected a rank of 4 and a multiple of ", frames,
                            " frames along axis ", axis, ", x is ", x));
  }
}

[[nodiscard]] inline std::int64_t checked_frames(std::string_view who, std::int64_t frames) {
  if (frames < 1) throw ConfigError(concat(who, ": expected at least 1 frame, got ", frames));
  return frames;
}

}  // namespace detail

/// Clips [N, T H, W, C] to frames [N T, H, W, C].
///
/// Throws `ConfigError` for T < 1 and `ShapeError` for rows that are not T frames.
class SplitFrames final : public Module {
 public:
  explicit SplitFrames(std::int64_t frames)
      : frames_{detail::checked_frames("split frames", frames)} {}

  [[nodiscard]] Var forward(Var x, const Pass&) override {
    const Shape& s = x.shape();
    detail::require_frames("split frames", s, 1, frames_);
    return ad::reshape(x, {s[0] * frames_, s[1] / frames_, s[2], s[3]});
  }
  /// No node: the graph is that of one frame.
  [[nodiscard]] std::int32_t describe(Description& description, std::int32_t x) const override {
    description.frames.push_back({.value = x, .first = description.next(), .count = frames_});
    return x;
  }

 private:
  std::int64_t frames_;
};

/// Segment consensus: [N T, K] to [N, K], the mean over the T frames of a clip, frame by frame.
///
/// Throws as `SplitFrames`. Wang et al., "Temporal segment networks", 1608.00859 (average).
class MeanOverFrames final : public Module {
 public:
  explicit MeanOverFrames(std::int64_t frames)
      : frames_{detail::checked_frames("mean over frames", frames)} {}

  [[nodiscard]] Var forward(Var x, const Pass&) override {
    const Shape& s = x.shape();
    if (s.rank() != 2 || s[0] % frames_ != 0) {
      throw ShapeError(concat("mean over frames: expected [N * ", frames_, ", K], x is ", s));
    }
    const Var clips = ad::reshape(x, {s[0] / frames_, frames_, 1, s[1]});
    const Var y = ad::global_average_pool(clips);
    x.tape().discard(clips);
    return y;
  }
  /// No node, as `SplitFrames`: `consensus` of deploy/clip_consensus.hpp is the mean.
  [[nodiscard]] std::int32_t describe(Description& description, std::int32_t x) const override {
    description.frames.push_back({.value = x, .first = description.next()});
    return x;
  }

 private:
  std::int64_t frames_;
};

/// A module that sees time as height: frames [N T, H, W, C] become [N, T, H W, C], `inner` runs on
/// that, and its result [N, T', H W, C'] becomes frames again.
///
/// With a convolution of height k and width 1 this is the k x 1 x 1 convolution over time, exactly:
/// the other half of a factorised 3D convolution. Throws as `SplitFrames`.
class AcrossFrames final : public Module {
 public:
  AcrossFrames(std::int64_t frames, ModulePtr inner)
      : frames_{detail::checked_frames("across frames", frames)}, inner_{std::move(inner)} {}

  [[nodiscard]] Var forward(Var x, const Pass& pass) override {
    const Shape s = x.shape();
    detail::require_frames("across frames", s, 0, frames_);
    const Var time = ad::reshape(x, {s[0] / frames_, frames_, s[1] * s[2], s[3]});
    const Var mixed = inner_->forward(time, pass);
    discard_unless(time, {mixed});
    const Shape& m = mixed.shape();
    if (m[2] != s[1] * s[2]) {
      throw ShapeError(concat("across frames: the width ", s[1] * s[2], " must stay, it became ",
                              m[2], "; use a kernel of width 1"));
    }
    const Var y = ad::reshape(mixed, {m[0] * m[1], s[1], s[2], m[3]});
    x.tape().discard(mixed);
    return y;
  }
  void visit(ModuleVisitor& visitor, const std::string& name) override {
    inner_->visit(visitor, name);
  }
  /// The nodes of `inner`, marked: they do not pack.
  [[nodiscard]] std::int32_t describe(Description& description, std::int32_t x) const override {
    const std::int32_t first = description.next();
    const std::int32_t y = inner_->describe(description, x);
    description.across_frames.push_back({.first = first, .last = description.next()});
    return y;
  }

 private:
  std::int64_t frames_;
  ModulePtr inner_;
};

/// A temporal segment network: a network of images on each of T frames, and the mean of its
/// outputs.
///
///   y[n, k] = 1/T sum_t backbone(x[n, t])[k]        x [N, T H, W, C], y [N, K]
///
/// Layers, plans and names are those of the backbone, which has been numbered. It packs as its
/// backbone: give `pack` the shape of one frame, and run `ClipRunner` on the packed file.
/// Cost: T forward passes of the backbone per clip. Wang et al., 1608.00859; in CoQuant,
/// 2103.01435, as "video classification" (inferred: with this network).
class TemporalSegments final : public Module {
 public:
  TemporalSegments(ModulePtr backbone, std::int64_t frames)
      : split_{frames}, backbone_{std::move(backbone)}, mean_{frames} {
    if (backbone_ == nullptr) throw ConfigError("temporal segments: the backbone is null");
  }

  [[nodiscard]] Var forward(Var x, const Pass& pass) override {
    const Var frames = split_.forward(x, pass);
    const Var outputs = backbone_->forward(frames, pass);
    discard_unless(frames, {outputs});
    const Var y = mean_.forward(outputs, pass);
    x.tape().discard(outputs);
    return y;
  }
  void visit(ModuleVisitor& visitor, const std::string& name) override {
    backbone_->visit(visitor, name);
  }
  [[nodiscard]] std::int32_t describe(Description& description, std::int32_t x) const override {
    const std::int32_t frames = split_.describe(description, x);
    return mean_.describe(description, backbone_->describe(description, frames));
  }

 private:
  SplitFrames split_;
  ModulePtr backbone_;
  MeanOverFrames mean_;
};

}  // namespace bitdial::inline BITDIAL_ABI::nn
