/* defaults.h: the default places of the config, the pid file and the control socket. */
#ifndef UDSD_DEFAULTS_H
#define UDSD_DEFAULTS_H

/* "": neither $XDG_CONFIG_HOME nor $HOME is set. */
const char *defaults_config(void);

/* The directory of the following two; "": $XDG_RUNTIME_DIR is not set, so there are
 * none. */
const char *defaults_directory(void);

const char *defaults_pid_file(void);
const char *defaults_control_socket(void);

/* Where udsctl asks: an ordinary user's own supervisor if it has a control socket, else
 * the system's. */
const char *defaults_supervisor(void);

#endif
