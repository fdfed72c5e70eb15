/* SPDX-License-Identifier: Apache-2.0 */
/* Classifies one image under every plan of a model file, in memory of its own.
 *
 * usage: classify MODEL [IMAGE]    IMAGE: raw bytes, height x width x channels; without: zeros */
#include <stdio.h>
#include <stdlib.h>

#include "bitdial.h"

static int fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, bitdial_last_error());
  return 1;
}

/* Reads `size` bytes and not one more. */
static int read_image(const char* path, uint8_t* image, size_t size) {
  FILE* const file = fopen(path, "rb");
  size_t count = 0;
  int longer = 0;
  if (file == NULL) {
    fprintf(stderr, "%s: cannot open\n", path);
    return -1;
  }
  count = fread(image, 1, size, file);
  longer = fgetc(file) != EOF;
  fclose(file);
  if (count != size || longer) {
    fprintf(stderr, "%s: %s%lu bytes, one image has %lu\n", path, longer ? "more than " : "",
            (unsigned long)count, (unsigned long)size);
    return -1;
  }
  return 0;
}

static void print_accuracy(const bitdial_model* model, size_t plan) {
  const double accuracy = bitdial_model_plan_accuracy(model, plan);
  if (accuracy < 0) {
    printf("%8s  ", "-");
  } else {
    printf("%7.2f%%  ", 100 * accuracy);
  }
}

static int classify(const bitdial_model* model, bitdial_session* session, const uint8_t* image) {
  size_t plan;
  printf("%-10s %8s  %s\n", "plan", "accuracy", "answer");
  for (plan = 0; plan < bitdial_model_plans(model); ++plan) {
    const char* label;
    int32_t answer = 0;
    if (bitdial_session_classify(session, plan, image, 1, &answer) != 0) return fail("classify");
    label = bitdial_model_label(model, (size_t)answer);
    printf("%-10s ", bitdial_model_plan_name(model, plan));
    print_accuracy(model, plan);
    printf("%d %s\n", (int)answer, label == NULL ? "" : label);
  }
  if (bitdial_model_plan_data_set(model, 0) != NULL) {
    printf("accuracy on %lu images of %s\n", (unsigned long)bitdial_model_plan_samples(model, 0),
           bitdial_model_plan_data_set(model, 0));
  }
  return 0;
}

int main(int argc, char** argv) {
  bitdial_session_options options = {.struct_size = sizeof options};
  bitdial_model* model = NULL;
  bitdial_session* session = NULL;
  uint8_t* image = NULL;
  size_t shape[3], size;
  int result = 1;

  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: classify MODEL [IMAGE]\n");
    return 2;
  }
  if (bitdial_model_open(argv[1], &model) != 0) return fail("model");
  bitdial_model_input(model, shape);
  size = shape[0] * shape[1] * shape[2];
  image = calloc(size, 1);
  if (bitdial_session_memory(model, &options, &options.arena_size) != 0) {
    fail("session");
  } else if (image == NULL || posix_memalign(&options.arena, 64, options.arena_size) != 0) {
    fprintf(stderr, "out of memory\n");
  } else if (bitdial_session_create(model, &options, &session) != 0) {
    fail("session");
  } else if (argc < 3 || read_image(argv[2], image, size) == 0) {
    result = classify(model, session, image);
  }
  bitdial_session_close(session);
  free(options.arena);
  bitdial_model_close(model);
  free(image);
  return result;
}
