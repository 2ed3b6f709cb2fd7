/* SPDX-License-Identifier: Apache-2.0
 *
 * Feeds every file of corpus folders to a fuzz target, as an ordinary test. */
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

static int feed_folder(const char *folder)
{
	DIR *d = opendir(folder);
	struct dirent *entry;
	char path[4096];
	int fed = 0;

	if (d == NULL) {
		perror(folder);
		return -1;
	}
	while ((entry = readdir(d)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (feed(path) != 0) {
			closedir(d);
			return -1;
		}
		fed++;
	}
	closedir(d);
	return fed;
}

int main(int argc, char **argv)
{
	int fed = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: %s CORPUS_FOLDER...\n", argv[0]);
		return 1;
	}
	LLVMFuzzerTestOneInput((const uint8_t *)"", 0);
	for (int i = 1; i < argc; i++) {
		int n = feed_folder(argv[i]);

		if (n <= 0) /* a folder without inputs holds nothing */
			return 1;
		fed += n;
	}
	printf("%d inputs replayed\n", fed);
	return 0;
}
