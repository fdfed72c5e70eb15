// SPDX-License-Identifier: Apache-2.0
// Classifies images with a model that is a constant of the program. Raw bytes come in, a label per
// plan goes out.
//
// usage: embed < IMAGES    height x width x channels bytes for each image
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <span>
#include <vector>

#include <bitdial/runtime.hpp>

extern "C" const unsigned char embedded_model[];
extern "C" const unsigned long embedded_model_size;

namespace {

int fail(const std::string& why) {
  std::fprintf(stderr, "embed: %s\n", why.c_str());
  return 1;
}

}  // namespace

int main() {
  const auto bytes = std::as_bytes(std::span{embedded_model, embedded_model_size});
  const auto model = bitdial::Model::from_bytes(bytes);
  if (!model) return fail(model.error());
  auto session = bitdial::Session::create(*model);
  if (!session) return fail(session.error());
  std::printf("%lu bytes of model in the program, input %s\n", embedded_model_size,
              model->input_shape().text().c_str());

  std::vector<std::uint8_t> image(static_cast<std::size_t>(model->input_shape().size()));
  std::size_t count = 0;
  for (; std::fread(image.data(), 1, image.size(), stdin) == image.size(); ++count) {
    std::printf("image %zu:", count);
    for (std::size_t plan = 0; plan < model->plans().size(); ++plan) {
      std::int32_t answer = 0;
      const auto done = session->classify(image, {&answer, 1}, plan);
      if (!done) return fail(done.error());
      std::printf("  %s %d %s", model->plans()[plan].name().c_str(), static_cast<int>(answer),
                  std::string{model->label(answer)}.c_str());
    }
    std::printf("\n");
  }
  if (count == 0)
    return fail(bitdial::concat("expected images of ", image.size(),
                                " bytes on the "
                                "standard input"));
  return 0;
}
