/* SPDX-License-Identifier: MIT */
/*
 * How programs that start under a recording get the memory they share with the recorder: they connect to a socket named in their
 * environment, prove by a secret beside the name that they are ours (names of abstract sockets are public), and are sent a memfd.
 *
 * A thread of its own serves them, so that a program's start does not wait for a round of the drain.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

enum { RENDEZVOUS_VARIABLE_MAX = 128, RENDEZVOUS_SECRET_BYTES = 16, RENDEZVOUS_MESSAGE_MAX = 64 };

struct rendezvous;

/* What is said to whom, all of it on the rendezvous's thread. */
struct rendezvous_service {
    size_t hello_size;   /* of what programs send first; it starts with the secret. At most RENDEZVOUS_MESSAGE_MAX */
    size_t welcome_size; /* of the answer, likewise */
    /* Fills in the answer to one who knew the secret. *ret_fd: sent along, and closed if *ret_is_ours; -1: none. */
    void (*answer)(void *context, const void *hello, const struct ucred *peer, void *ret_welcome, int *ret_fd, bool *ret_is_ours);
    void *context;
};

struct rendezvous {
    int socket;
    struct rendezvous_service service;
    uint8_t secret[RENDEZVOUS_SECRET_BYTES];
    pthread_t thread;
    bool is_running;
};

/* Call with all signals blocked. `ret_variable` is the assignment to `name` for the environment. 0 or -errno. */
int rendezvous_open(struct rendezvous *rendezvous, const struct rendezvous_service *service, const char *name,
                    char ret_variable[RENDEZVOUS_VARIABLE_MAX]);

/* Nobody is answered any more when this returns. */
void rendezvous_close(struct rendezvous *rendezvous);
