// SPDX-License-Identifier: Apache-2.0
// Training on normalised images, packing, and running on the bytes: the file carries the
// normalisation, and the answers are those of the training graph.
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <bitdial/data/synthetic.hpp>
#include <bitdial/deploy/pack.hpp>
#include <bitdial/train/evaluate.hpp>
#include <support/packed_comparison.hpp>

using namespace bitdial;

namespace {

using Widths = BitList<8, 4, 2, 1>;

const test::LayerFactory layers = test::watched_layers<Widths>();
const test::Zoo zoo{layers};
const std::vector<PrecisionPlan> plans{Precision{8, 8}, Precision{4, 2}, Precision{1, 1}};

}  // namespace

TEST_CASE("every network on normalised bytes, in every way: the bits of the training graph") {
  auto networks = zoo.networks();
  for (test::TestNetwork& entry : networks) {
    CAPTURE(entry.name);
    Normalisation normalisation;
    for (std::int64_t c = 0; c < entry.image[2]; ++c) {
      normalisation.mean.push_back(0.1F * static_cast<float>(c + 1));
      normalisation.deviation.push_back(0.3F / static_cast<float>(c + 1));
    }
    test::settle(entry.modules, entry.image, plans, 71);
    const test::ByteImages images(4, entry.image, 72, normalisation);
    CHECK(test::lively_share(test::evaluate_plans(entry.modules, images, plans)) > 0.8);
    test::check_packed(entry.modules, entry.image, plans, images, test::all_ways());
  }
}

TEST_CASE("the options of the loader reach the file; bytes give what `evaluate` gives") {
  const Shape image{16, 16, 3};
  const data::ImageOptions prepared{.normalisation = data::imagenet_normalisation()};
  nn::Sequential net;
  layers.conv(net, "stem", {.in = 3, .out = 6, .kernel = 3, .padding = 1});
  net.add<nn::Relu>("relu");
  net.add<nn::GlobalAveragePool>("mean");
  layers.head(net, "head", {.in = 6, .out = 10});
  nn::number_layers(net);
  const data::Dataset images =
      data::make_synthetic({.count = 20, .size = 16, .channels = 3, .seed = 3});
  test::settle(net, image, plans, 73);
  const auto bytes = model_bytes(
      pack(net, {.plans = plans,
                 .input_shape = image,
                 .labels = images.class_names(),
                 .preprocessing = {.normalisation = prepared.normalisation, .channels = "RGB"}}));
  REQUIRE_MESSAGE(bytes.ok(), bytes.error());
  const auto model = Model::from_bytes(*bytes);
  REQUIRE_MESSAGE(model.ok(), model.error());
  CHECK(model->preprocessing().normalisation == prepared.normalisation);
  CHECK(model->preprocessing().channels == "RGB");
  auto session = Session::create(*model);
  REQUIRE_MESSAGE(session.ok(), session.error());
  for (std::size_t p = 0; p < plans.size(); ++p) {
    const Tensor<float> expected = train::evaluate(net, images, plans[p], 7, prepared);
    Tensor<float> logits(expected.shape());
    REQUIRE(session->run(images.images().span(), logits.span(), p));
    CHECK(test::same_bits(logits, expected));
  }
  std::vector<std::int32_t> classes(1);
  REQUIRE(session->classify(images.image(0), classes, 0));
  CHECK(model->label(classes[0]) == images.class_names()[static_cast<std::size_t>(classes[0])]);
  CHECK(model->label(-1).empty());
  CHECK(model->label(10).empty());
}

TEST_CASE("a normalisation that does not fit is refused when the file is written") {
  nn::Sequential net;
  layers.conv(net, "a", {.in = 2, .out = 3, .kernel = 1});
  nn::number_layers(net);
  test::settle(net, {4, 4, 2}, plans, 75);
  const auto error_of = [&](const Preprocessing& preprocessing) {
    const auto bytes = model_bytes(
        pack(net, {.plans = plans, .input_shape = {4, 4, 2}, .preprocessing = preprocessing}));
    return bytes ? std::string{} : bytes.error();
  };
  CHECK(error_of({.normalisation = {.mean = {0.0F, 0.5F}, .deviation = {1.0F, 2.0F}}}).empty());
  CHECK(error_of({.normalisation = {.mean = {0.0F}, .deviation = {1.0F}}}) ==
        "packed network: preprocessing: expected 2 finite means and positive deviations, found 1 "
        "means and 1 deviations");
  for (const float wrong : {0.0F, -1.0F, NAN, INFINITY}) {
    CHECK(!error_of({.normalisation = {.mean = {0.0F, 0.0F}, .deviation = {1.0F, wrong}}}).empty());
  }
  for (const float wrong : {0.0F, -1.0F, NAN, 1.5F}) {
    CHECK(test::contains(error_of({.centre = wrong}), "of the shorter side, expected above 0"));
  }
}
