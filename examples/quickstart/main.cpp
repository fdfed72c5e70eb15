// SPDX-License-Identifier: Apache-2.0
// The main job from start to end: train one network for several precisions, pack it into one file,
// reload the file, switch it, and print what each precision costs and gives.
#include <cstdio>
#include <exception>
#include <filesystem>
#include <string>

#include "cascade.hpp"
#include "results.hpp"

namespace {

std::string command_line(int argc, char** argv) {
  std::string text;
  for (int i = 0; i < argc; ++i) text += (i == 0 ? "" : " ") + std::string{argv[i]};
  return text;
}

int run(const quickstart::Options& options, const std::string& command) {
  bitdial::set_thread_count(options.threads);
  std::filesystem::create_directories(options.out);
  const quickstart::Images images = quickstart::load_images(options);
  quickstart::Trained trained = quickstart::train_network(options, images);
  if (!trained.complete) {
    std::fprintf(stderr, "interrupted; the same command with --resume goes on from %s\n",
                 (options.out + "/checkpoint.bin").c_str());
    return 130;
  }
  if (!options.quiet) std::printf("packing, reloading and comparing ...\n");
  const std::string model = options.out + "/model.bitdial";
  const auto outcomes = quickstart::pack_and_compare(options, images, trained, model);

  quickstart::write_text(options.out + "/history.csv",
                         bitdial::train::to_csv(trained.history.table()));
  quickstart::write_text(options.out + "/summary.json", quickstart::summary_json(outcomes));
  quickstart::write_text(options.out + "/report.html",
                         bitdial::train::render_html(
                             quickstart::make_report(options, images, trained, outcomes, command)));

  std::printf("\n%s\n",
              bitdial::train::to_text(quickstart::result_table(outcomes, options.threads)).c_str());
  if (outcomes.size() > 1) {
    const auto cascade = quickstart::try_cascade(images.test, outcomes, model);
    std::printf("%s\n", quickstart::cascade_sentence(cascade).c_str());
  }
  std::printf("wrote model.bitdial, history.csv, summary.json and report.html to %s\n",
              options.out.c_str());
  for (const auto& outcome : outcomes) {
    if (!outcome.identical) {
      std::fprintf(stderr, "error: at %s the packed network differs from the trained one\n",
                   outcome.precision.c_str());
      return 1;
    }
  }
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const quickstart::Options options = quickstart::parse_options(argc, argv);
  try {
    return run(options, command_line(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
