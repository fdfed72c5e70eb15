/* SPDX-License-Identifier: Apache-2.0 */
/* Packed networks from C: open a model file, choose a plan per request.
 *
 * Every function that can fail returns 0 for success and -1 for failure; then bitdial_last_error()
 * is the sentence that says why, in the same thread, until the next failure there. Handles are
 * released with their own function; null is allowed there and nowhere else.
 *
 * A model may be used by any number of threads. A session belongs to one thread at a time and keeps
 * its model alive. */
#ifndef BITDIAL_H
#define BITDIAL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(BITDIAL_C_BUILDING) && defined(__GNUC__)
#  define BITDIAL_C __attribute__((visibility("default")))
#else
#  define BITDIAL_C
#endif

typedef struct bitdial_model bitdial_model;
typedef struct bitdial_session bitdial_session;

/* The version of the library, "0.1.0". */
BITDIAL_C const char* bitdial_version(void);
/* The reason of the last failure in this thread; empty when there was none. */
BITDIAL_C const char* bitdial_last_error(void);

/* Maps the file at `path`. */
BITDIAL_C int bitdial_model_open(const char* path, bitdial_model** model);
/* Reads a model from memory, which must stay unchanged until the model and its sessions are closed.
 */
BITDIAL_C int bitdial_model_from_memory(const void* bytes, size_t size, bitdial_model** model);
BITDIAL_C void bitdial_model_close(bitdial_model* model);

/* Height, width and channels of one image of bytes, which goes in as it is: the session normalises
 * as the file says. */
BITDIAL_C void bitdial_model_input(const bitdial_model* model, size_t shape[3]);
/* What the channels are, in order: "RGB", "grey"; empty when the file does not say. */
BITDIAL_C const char* bitdial_model_channels(const bitdial_model* model);
/* The share of the shorter side of a picture that the network sees: the square in the middle, which
 * the caller resamples to the input's height and width. 1 is the whole side. */
BITDIAL_C float bitdial_model_centre(const bitdial_model* model);
/* The number of values per image that a session gives. */
BITDIAL_C size_t bitdial_model_outputs(const bitdial_model* model);
/* The name of output `index`; null when the file has no names or the index is out of range. */
BITDIAL_C const char* bitdial_model_label(const bitdial_model* model, size_t index);

BITDIAL_C size_t bitdial_model_plans(const bitdial_model* model);
/* The name of plan `index`, "w4a4"; null when it is out of range. */
BITDIAL_C const char* bitdial_model_plan_name(const bitdial_model* model, size_t index);
/* The share of right answers that was measured at packing, 0 to 1; below 0 when none was. */
BITDIAL_C double bitdial_model_plan_accuracy(const bitdial_model* model, size_t index);
/* On how many images of which data set it was measured; 0 and null when it was not. */
BITDIAL_C uint64_t bitdial_model_plan_samples(const bitdial_model* model, size_t index);
BITDIAL_C const char* bitdial_model_plan_data_set(const bitdial_model* model, size_t index);
/* Bytes of packed weights that the plan reads; 0 when the index is out of range. */
BITDIAL_C size_t bitdial_model_plan_bytes(const bitdial_model* model, size_t index);
/* The index of the plan with this name. */
BITDIAL_C int bitdial_model_find_plan(const bitdial_model* model, const char* name, size_t* index);

/* What a session prepares for. Zero is a default everywhere but in the first member:
 *
 *   bitdial_session_options options = {.struct_size = sizeof options};
 *
 * By it a library and a program that were compiled with different versions of this header
 * understand each other: what an older program does not have is a default, and what an older
 * library does not know is refused unless it is zero. */
typedef struct bitdial_session_options {
  size_t struct_size;  /* sizeof(bitdial_session_options) */
  int threads;         /* default 1 */
  size_t max_batch;    /* images that run together at most, default 1 */
  const size_t* plans; /* indices of the plans to prepare; null: all */
  size_t plan_count;
  void* arena; /* the caller's memory on a boundary of 64 bytes, which must outlive the session; */
  size_t arena_size; /* null: the session allocates it */
} bitdial_session_options;

/* The size of the arena that a session with these options takes, `options->arena` apart. Options
 * may be null for the defaults, here and below. */
BITDIAL_C int bitdial_session_memory(const bitdial_model* model,
                                     const bitdial_session_options* options, size_t* bytes);
BITDIAL_C int bitdial_session_create(const bitdial_model* model,
                                     const bitdial_session_options* options,
                                     bitdial_session** session);
BITDIAL_C void bitdial_session_close(bitdial_session* session);

/* Runs `count` images [count, height, width, channels] under a plan; fills outputs
 * [count, outputs]. Allocates nothing on success. A count whose images no memory can hold is a
 * failure. */
BITDIAL_C int bitdial_session_run(bitdial_session* session, size_t plan, const uint8_t* images,
                                  size_t count, float* outputs);
/* The index of the largest output of each image. */
BITDIAL_C int bitdial_session_classify(bitdial_session* session, size_t plan, const uint8_t* images,
                                       size_t count, int32_t* classes);

#ifdef __cplusplus
}
#endif

#endif /* BITDIAL_H */
