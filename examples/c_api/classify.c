/* SPDX-License-Identifier: Apache-2.0 */
/* Classifies one image under every plan of a model file.
 *
 * usage: classify MODEL [IMAGE]    IMAGE: raw bytes, height x width x channels; without: zeros */
#include <stdio.h>
#include <stdlib.h>

#include "bitdial.h"

static int fail(const char* what) {
  fprintf(stderr, "%s: %s\n", what, bitdial_last_error());
  return 1;
}

static int read_image(const char* path, uint8_t* image, size_t size) {
  FILE* const file = fopen(path, "rb");
  size_t count = 0;
  if (file == NULL) {
    fprintf(stderr, "%s: cannot open\n", path);
    return -1;
  }
  count = fread(image, 1, size, file);
  fclose(file);
  if (count != size) {
    fprintf(stderr, "%s: %lu bytes, one image has %lu\n", path, (unsigned long)count,
            (unsigned long)size);
    return -1;
  }
  return 0;
}

int main(int argc, char** argv) {
  bitdial_model* model = NULL;
  bitdial_session* session = NULL;
  size_t shape[3], plan;
  uint8_t* image;

  if (argc < 2 || argc > 3) {
    fprintf(stderr, "usage: classify MODEL [IMAGE]\n");
    return 2;
  }
  if (bitdial_model_open(argv[1], &model) != 0) return fail("model");
  if (bitdial_session_create(model, 1, 1, &session) != 0) return fail("session");
  bitdial_model_input(model, shape);
  image = calloc(shape[0] * shape[1] * shape[2], 1);
  if (image == NULL) return 1;
  if (argc == 3 && read_image(argv[2], image, shape[0] * shape[1] * shape[2]) != 0) return 1;

  printf("%-10s %8s  %s\n", "plan", "accuracy", "answer");
  for (plan = 0; plan < bitdial_model_plans(model); ++plan) {
    const double accuracy = bitdial_model_plan_accuracy(model, plan);
    const char* label;
    int32_t answer = 0;
    if (bitdial_session_classify(session, plan, image, 1, &answer) != 0) return fail("classify");
    label = bitdial_model_label(model, (size_t)answer);
    printf("%-10s ", bitdial_model_plan_name(model, plan));
    if (accuracy < 0) {
      printf("%8s  ", "-");
    } else {
      printf("%7.2f%%  ", 100 * accuracy);
    }
    printf("%d %s\n", (int)answer, label == NULL ? "" : label);
  }
  free(image);
  bitdial_session_close(session);
  bitdial_model_close(model);
  return 0;
}
