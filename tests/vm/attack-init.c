/* The attacker's /sbin/init: says that it runs, and what it finds. */
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <sys/mount.h>
#include <unistd.h>

int main(void)
{
	int console = open("/dev/console", O_WRONLY);
	glob_t mappings;

	dprintf(console, "ATTACKER RUNS AS PID %d\n", getpid());
	if (glob("/dev/mapper/*", 0, NULL, &mappings) == 0)
		for (size_t i = 0; i < mappings.gl_pathc; i++)
			dprintf(console, "ATTACKER FINDS %s\n", mappings.gl_pathv[i]);
	for (;;)
		pause();
}
