// SPDX-License-Identifier: Apache-2.0
// Few bits first: a request is answered by the cheapest plan that is sure of its answer.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <bitdial/core/result.hpp>
#include <bitdial/core/text.hpp>
#include <bitdial/deploy/model.hpp>
#include <bitdial/deploy/session.hpp>

namespace bitdial::inline BITDIAL_ABI {

/// What one plan says of one image.
struct Confidence {
  std::int32_t label = 0;  ///< the index of the largest output, the first of equals
  float margin = 0.0F;     ///< see `confidence_of`
};

/// The label of `outputs` and how sure they are of it: the difference between the two largest of
/// softmax(outputs), 0..1; 0 when an output is not a number, 1 when there is only one.
[[nodiscard]] inline Confidence confidence_of(std::span<const float> outputs) noexcept {
  std::size_t first = 0;
  for (std::size_t i = 1; i < outputs.size(); ++i) {
    if (outputs[i] > outputs[first]) first = i;
  }
  Confidence result{static_cast<std::int32_t>(first), 1.0F};
  if (outputs.size() < 2) return result;
  float sum = 0.0F, second = 0.0F;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const float share = std::exp(outputs[i] - outputs[first]);
    sum += share;
    if (i != first && !(share <= second)) second = share;
  }
  result.margin = (1.0F - second) / sum;
  if (!(result.margin >= 0.0F)) result.margin = 0.0F;
  return result;
}

/// One plan of a cascade.
struct CascadeStage {
  std::size_t plan = 0;  ///< index into `Model::plans()`
  /// The least margin with which its answer stands: 0 always answers, above 1 never. The last stage
  /// always answers.
  float threshold = std::numeric_limits<float>::infinity();
};

struct CascadeAnswer {
  std::int32_t label = 0;
  float margin = 0.0F;
  std::size_t stage = 0;  ///< which one answered
};

/// Plans to try one after the other, the cheapest first.
class Cascade {
 public:
  /// Errors: no stage, a plan that the model does not have or that occurs twice, a threshold that
  /// is not a number of at least 0.
  [[nodiscard]] static Result<Cascade> create(const Model& model,
                                              std::vector<CascadeStage> stages) {
    if (stages.empty()) return Failure{"cascade: expected at least one stage, got none"};
    for (const CascadeStage& stage : stages) {
      if (const auto known = model.check_plan(stage.plan); !known) {
        return Failure{concat("cascade: ", known.error())};
      }
      const std::string name = model.plans()[stage.plan].name();
      if (!(stage.threshold >= 0.0F)) {
        return Failure{concat("cascade: the threshold of plan ", name, " is ", stage.threshold,
                              ", expected a margin: 0 always answers, above 1 never; fit_cascade "
                              "finds one")};
      }
      const auto same = [&](const CascadeStage& other) { return other.plan == stage.plan; };
      if (std::count_if(stages.begin(), stages.end(), same) > 1) {
        return Failure{concat("cascade: plan ", name,
                              " occurs twice, expected each once: it answers the same again")};
      }
    }
    Cascade cascade;
    cascade.stages_ = std::move(stages);
    return cascade;
  }

  [[nodiscard]] std::span<const CascadeStage> stages() const noexcept { return stages_; }

  /// Answers one image; `outputs` are those of the stage that answered. Errors: those of
  /// `Session::run`, for every stage, whether this image needs it or not. Allocates nothing.
  [[nodiscard]] Result<CascadeAnswer> run(Session& session, std::span<const std::uint8_t> image,
                                          std::span<float> outputs) const {
    if (static_cast<std::int64_t>(outputs.size()) != session.model().output_size()) {
      return Failure{concat("cascade: ", outputs.size(), " output values, one image gives ",
                            session.model().output_size())};
    }
    for (const CascadeStage& stage : stages_) {
      if (auto ready = session.check_prepared(stage.plan); !ready) return ready.failure();
    }
    for (std::size_t i = 0;; ++i) {
      if (auto done = session.run(image, outputs, stages_[i].plan); !done) return done.failure();
      const Confidence confidence = confidence_of(outputs);
      if (i + 1 == stages_.size() || confidence.margin >= stages_[i].threshold) {
        return CascadeAnswer{confidence.label, confidence.margin, i};
      }
    }
  }

 private:
  std::vector<CascadeStage> stages_;
};

}  // namespace bitdial::inline BITDIAL_ABI
