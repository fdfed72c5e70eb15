// SPDX-License-Identifier: Apache-2.0
// The program whose size is the size of bitdial in a product: loads a model file, classifies one
// image, prints the class.
//
//   classify_image MODEL IMAGE [PLAN]    IMAGE: the raw bytes, [H, W, C]
#include <bitdial/deploy/session.hpp>

#include <cstdint>
#include <cstdio>
#include <string>

namespace {

int fail(const std::string& sentence) {
  std::fprintf(stderr, "classify_image: %s\n", sentence.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return fail("usage: classify_image MODEL IMAGE [PLAN]");
  const auto model = bitdial::Model::open(argv[1]);
  if (!model) return fail(model.error());
  const auto image = bitdial::io::MappedFile::open(argv[2]);
  if (!image) return fail(image.error());
  const auto plan = argc > 3 ? model->find_plan(argv[3]) : bitdial::Result<std::size_t>{0};
  if (!plan) return fail(plan.error());
  auto session = bitdial::Session::create(*model, {.plans = {*plan}});
  if (!session) return fail(session.error());
  const auto* const bytes = reinterpret_cast<const std::uint8_t*>(image->bytes().data());
  std::int32_t label = -1;
  const auto done = session->classify({bytes, image->bytes().size()}, {&label, 1}, *plan);
  if (!done) return fail(done.error());
  std::printf("%d\n", label);
}
