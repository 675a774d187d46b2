/*
 * driver.c - runs a fuzz target without libFuzzer: random bytes from a seed, examples with changes made to them, or the files that it is given.
 *
 *	fuzz_X [--seconds S] [--seed N]		until the time is over; the seed of a run is printed
 *	fuzz_X FILE...				these inputs
 *
 * An input that fails is left in fuzz_X.crash, to be given as a FILE.
 */
#include "fuzz.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

enum { LONGEST = 4096, CHANGES = 8 };

static uint8_t input[LONGEST];
static size_t length;
static const char *program;
static uint64_t state;

static uint64_t next_random(void)
{
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static size_t below(size_t n)
{
	return n > 0 ? next_random() % n : 0;
}

/* ---- inputs ------------------------------------------------------------------------------------------ */

static void make_random(void)
{
	length = below(below(8) == 0 ? LONGEST : 200);
	for (size_t i = 0; i < length; i++)
		input[i] = (uint8_t)next_random();
}

static void take_example(size_t n)
{
	const char *text = fuzz_examples[below(n)];

	length = strlen(text) < LONGEST ? strlen(text) : LONGEST;
	memcpy(input, text, length);
}

static void remove_some(void)
{
	size_t at = below(length), n = below(length - at < 16 ? length - at : 16);

	memmove(input + at, input + at + n, length - at - n);
	length -= n;
}

static void repeat_some(void)
{
	uint8_t piece[LONGEST];
	size_t from = below(length), n = below(length - from), at = below(length);

	if (length + n > LONGEST)
		return;
	memcpy(piece, input + from, n);
	memmove(input + at + n, input + at, length - at);
	memcpy(input + at, piece, n);
	length += n;
}

static void change_one(void)
{
	static const char odd[] = "\0\n\r\t \"'\\:-#{}[]&*!|>%@`\x7f\x80\xff\xc3\xe2\xf0" "09azAZ.,+eE";

	if (length == 0)
		return;
	switch (below(6)) {
	case 0:
		input[below(length)] ^= (uint8_t)(1u << below(8));
		break;
	case 1:
		input[below(length)] = (uint8_t)next_random();
		break;
	case 2:
	case 3:
		input[below(length)] = (uint8_t)odd[below(sizeof odd - 1)];
		break;
	case 4:
		remove_some();
		break;
	case 5:
		repeat_some();
		break;
	}
}

static void make_input(size_t n_examples)
{
	if (n_examples == 0 || below(10) == 0) {
		make_random();
		return;
	}
	take_example(n_examples);
	for (size_t n = below(CHANGES); n > 0; n--)
		change_one();
}

/* ---- running ----------------------------------------------------------------------------------------- */

/* The sanitizers and the checks end in abort(), everything else in a signal of its own. */
static void on_end(int signo)
{
	char name[512];
	FILE *f;

	signal(signo, SIG_DFL);
	snprintf(name, sizeof name, "%s.crash", program);
	f = fopen(name, "w");
	if (f != NULL) {
		fwrite(input, 1, length, f);
		fclose(f);
		fprintf(stderr, "%s: the input is in %s\n", program, name);
	}
	raise(signo);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* From memory that ends where the input ends, so that a sanitizer sees who reads on. */
static void run_input(void)
{
	uint8_t *exact = xmalloc(length > 0 ? length : 1);

	memcpy(exact, input, length);
	LLVMFuzzerTestOneInput(exact, length);
	free(exact);
}

static bool run_file(const char *path)
{
	FILE *f = fopen(path, "r");

	if (f == NULL) {
		perror(path);
		return false;
	}
	length = fread(input, 1, sizeof input, f);
	fclose(f);
	run_input();
	return true;
}

static void run_for(int64_t seconds, uint64_t seed)
{
	int64_t end = now_ms() + seconds * 1000;
	uint64_t runs = 0;
	size_t n_examples = 0;

	while (fuzz_examples[n_examples] != NULL)
		n_examples++;
	state = seed;
	for (size_t i = 0; i < n_examples; i++) {
		length = strlen(fuzz_examples[i]) < LONGEST ? strlen(fuzz_examples[i]) : LONGEST;
		memcpy(input, fuzz_examples[i], length);
		run_input();
	}
	while (runs % 16 != 0 || now_ms() < end) {
		make_input(n_examples);
		run_input();
		runs++;
	}
	printf("%s: %" PRIu64 " inputs of seed %" PRIu64 "\n1 passed, 0 failed\n", program, runs, seed);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{ "seconds", required_argument, NULL, 't' }, { "seed", required_argument, NULL, 'n' }, { 0 },
	};
	int64_t seconds = 1;
	uint64_t seed = 1;
	int c;

	program = argv[0];
	while ((c = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (c == 't')
			seconds = strtoll(optarg, NULL, 10);
		else if (c == 'n')
			seed = strtoull(optarg, NULL, 10);
		else
			return 64;
	}
	signal(SIGABRT, on_end);
	signal(SIGSEGV, on_end);
	for (int i = optind; i < argc; i++)
		if (!run_file(argv[i]))
			return 2;
	if (optind == argc)
		run_for(seconds, seed);
	return 0;
}
