/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/pin.h"

#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* One line without its end, straight into the caller's buffer: no stdio copy of a secret. */
static bool read_line(int fd, const char *name, char *out, size_t cap, struct err *e)
{
	ssize_t n = read(fd, out, cap - 1);

	if (n < 0)
		return err_sys(e, ERR_CONFIG, "%s", name);
	out[n] = 0;
	/* What is cut or has an end inside is another PIN, and the token counts it. */
	if ((size_t)n == cap - 1 || strlen(out) != (size_t)n) {
		mem_wipe(out, cap);
		return err_set(e, ERR_CONFIG, "%s holds no PIN: it is longer than %zu octets, or binary", name, cap - 2);
	}
	out[strcspn(out, "\r\n")] = 0;
	if (out[0] == 0)
		return err_set(e, ERR_CONFIG, "%s holds no PIN", name);
	return true;
}

static bool from_file(const char *path, char *out, size_t cap, struct err *e)
{
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 && errno == EACCES)
		return err_set(e, ERR_CONFIG, "PIN file %s can't be read by the user of ca: chown caduceus-ca it, and let others pass (chmod o+x) "
		                              "through its folders", path);
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_sys(e, ERR_CONFIG, "PIN file %s", path);
	if (!S_ISREG(st.st_mode) || (st.st_mode & 0077) != 0)
		return err_set(e, ERR_CONFIG, "PIN file %s can be read by others: chmod 0600 it", path);
	return read_line(fd, path, out, cap, e);
}

static bool from_credential(const char *name, char *out, size_t cap, struct err *e)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY"), *given = getenv(PIN_FD_VARIABLE);
	AUTO_FREE char *path = NULL;

	if (given != NULL && lseek(atoi(given), 0, SEEK_SET) == 0)
		return read_line(atoi(given), name, out, cap, e);

	if (dir == NULL)
		return err_set(e, ERR_CONFIG,
		               "hsm.pin is credential:%s, but no credentials were handed over: "
		               "set LoadCredential= in the systemd unit",
		               name);
	if (name[0] == 0 || strchr(name, '/') != NULL)
		return err_set(e, ERR_CONFIG, "credential:%s is no name of a credential", name);
	path = mem_printf("%s/%s", dir, name);
	AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_sys(e, ERR_CONFIG, "credential %s", name);
	return read_line(fd, name, out, cap, e);
}

static bool from_terminal(char *out, size_t cap, struct err *e)
{
	static const char ask[] = "Token PIN: ";
	AUTO_FD int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	struct termios was, quiet;
	bool read;

	if (fd < 0 || tcgetattr(fd, &was) != 0)
		return err_set(e, ERR_CONFIG, "hsm.pin is prompt:, but there is no terminal to ask on");
	quiet = was;
	quiet.c_lflag &= ~(tcflag_t)ECHO;
	tcsetattr(fd, TCSAFLUSH, &quiet);
	(void)!write(fd, ask, sizeof ask - 1);
	read = read_line(fd, "the terminal", out, cap, e);
	tcsetattr(fd, TCSAFLUSH, &was);
	(void)!write(fd, "\n", 1);
	return read;
}

char *pin_path(const char *source, const char *dir)
{
	if (strncmp(source, "file:", 5) != 0)
		return NULL;
	return source[5] == '/' ? mem_text(source + 5) : mem_printf("%s/%s", dir, source + 5);
}

bool pin_read(const char *source, const char *dir, char *out, size_t cap, struct err *e)
{
	if (strncmp(source, "file:", 5) == 0) {
		AUTO_FREE char *path = pin_path(source, dir);

		return from_file(path, out, cap, e);
	}
	if (strncmp(source, "credential:", 11) == 0)
		return from_credential(source + 11, out, cap, e);
	if (strcmp(source, "prompt:") == 0)
		return from_terminal(out, cap, e);
	return err_set(e, ERR_CONFIG, "hsm.pin must begin with file:, credential: or prompt:");
}
