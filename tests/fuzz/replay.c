/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds every file of a corpus folder to a fuzz target, as an ordinary test. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = malloc(1 << 20);
	size_t n;

	if (f == NULL || data == NULL) {
		perror(path);
		return 1;
	}
	n = fread(data, 1, 1 << 20, f);
	fclose(f);
	/* A copy of just this size, so that the sanitizer sees a read behind the end. */
	uint8_t *exact = malloc(n != 0 ? n : 1);

	memcpy(exact, data, n);
	free(data);
	LLVMFuzzerTestOneInput(exact, n);
	free(exact);
	return 0;
}

int main(int argc, char **argv)
{
	DIR *d;
	struct dirent *entry;
	char path[4096];
	int fed = 0;

	if (argc != 2 || (d = opendir(argv[1])) == NULL) {
		fprintf(stderr, "usage: %s CORPUS_FOLDER\n", argv[0]);
		return 1;
	}
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", argv[1], entry->d_name);
		if (feed(path) != 0)
			return 1;
		fed++;
	}
	closedir(d);
	printf("%d inputs replayed\n", fed);
	return fed == 0;
}
