// SPDX-License-Identifier: Apache-2.0
#include "packed.hpp"

#include <bitdial/deploy/pack.hpp>
#include <bitdial/train/evaluate.hpp>

namespace reproduce {

Packed packed(bitdial::nn::Module& network, const Images& images,
              const std::vector<bitdial::PrecisionPlan>& plans) {
  Packed result;
  result.bytes =
      bitdial::model_bytes(
          bitdial::pack(network, {.plans = plans, .input_shape = images.test.image_shape()}))
          .value();
  const auto model = bitdial::Model::from_bytes(result.bytes).value();
  result.session =
      std::make_unique<bitdial::Session>(bitdial::Session::create(model, {.threads = 1}).value());
  return result;
}

double test(bitdial::Session& session, const Images& images, const bitdial::PrecisionPlan& plan) {
  bitdial::Tensor<float> logits({images.test.size(), session.model().output_size()});
  for (std::int64_t i = 0; i < images.test.size(); ++i) {
    const auto row = logits.span().subspan(static_cast<std::size_t>(i * logits.shape()[1]),
                                           static_cast<std::size_t>(logits.shape()[1]));
    session.run(images.test.image(i), row, plan).value();
  }
  const auto correct = bitdial::train::top_k_correct(logits.view(), images.test.labels(), 1);
  return static_cast<double>(correct) / static_cast<double>(images.test.size());
}

}  // namespace reproduce
