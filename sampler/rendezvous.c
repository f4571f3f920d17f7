/* SPDX-License-Identifier: MIT */
#include "sampler/rendezvous.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

enum { NAME_BYTES = 8 };

/* Not a comparison that stops at the first difference: how long it takes must not tell how much was right. */
static bool is_secret(const uint8_t *given, const uint8_t *ours) {
    uint8_t difference = 0;
    for (size_t i = 0; i < RENDEZVOUS_SECRET_BYTES; i++)
        difference |= given[i] ^ ours[i];
    return !difference;
}

static void send_welcome(int connection, void *welcome, size_t size, int fd) {
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {0};
    struct iovec data = {welcome, size};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    if (fd >= 0) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(head), &fd, sizeof fd);
    }
    (void)sendmsg(connection, &message, MSG_NOSIGNAL);
}

static void answer(const struct rendezvous_service *service, int connection, const void *hello) {
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0)
        return;
    _Alignas(8) uint8_t welcome[RENDEZVOUS_MESSAGE_MAX] = {0};
    int fd = -1;
    bool is_ours = false;
    service->answer(service->context, hello, &peer, welcome, &fd, &is_ours);
    send_welcome(connection, welcome, service->welcome_size, fd);
    if (is_ours && fd >= 0)
        close(fd);
}

/* Somebody who connects and is silent holds up the others for a tenth of a second. */
static void serve(const struct rendezvous *rendezvous, int connection) {
    struct timeval patience = {.tv_usec = 100000};
    _Alignas(8) uint8_t hello[RENDEZVOUS_MESSAGE_MAX];
    if (setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0 &&
        recv(connection, hello, rendezvous->service.hello_size, MSG_WAITALL) == (ssize_t)rendezvous->service.hello_size &&
        is_secret(hello, rendezvous->secret))
        answer(&rendezvous->service, connection, hello);
}

static void *run(void *argument) {
    const struct rendezvous *rendezvous = argument;
    for (;;) {
        _cleanup_close_ int connection = accept4(rendezvous->socket, NULL, NULL, SOCK_CLOEXEC);
        if (connection >= 0)
            serve(rendezvous, connection);
        else if (errno == EINVAL) /* rendezvous_close has shut it down */
            return NULL;
        else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)
            (void)poll(NULL, 0, 10);
        else if (errno != EINTR && errno != ECONNABORTED && errno != EAGAIN)
            return NULL;
    }
}

static size_t put_hex(char *to, const uint8_t *bytes, size_t count) {
    for (size_t i = 0; i < count; i++)
        snprintf(to + 2 * i, 3, "%02x", bytes[i]);
    return 2 * count;
}

static int listen_as(int fd, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX}; /* the name comes after a zero byte: abstract */
    size_t length = strlen(name);
    memcpy(address.sun_path + 1, name, length);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
    return bind(fd, (const struct sockaddr *)&address, size) < 0 || listen(fd, SOMAXCONN) < 0 ? -errno : 0;
}

int rendezvous_open(struct rendezvous *rendezvous, const struct rendezvous_service *service, const char *variable,
                    char ret_variable[RENDEZVOUS_VARIABLE_MAX]) {
    uint8_t random[NAME_BYTES];
    char name[sizeof "cprof-" + (size_t)2 * NAME_BYTES] = "cprof-", secret[2 * RENDEZVOUS_SECRET_BYTES + 1];
    *rendezvous = (struct rendezvous){.socket = -1, .service = *service};
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random ||
        getrandom(rendezvous->secret, sizeof rendezvous->secret, 0) != (ssize_t)sizeof rendezvous->secret)
        return -EIO;
    put_hex(name + strlen(name), random, sizeof random);
    put_hex(secret, rendezvous->secret, sizeof rendezvous->secret);
    rendezvous->socket = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (rendezvous->socket < 0)
        return -errno;
    int error = listen_as(rendezvous->socket, name);
    if (error == 0) {
        error = -pthread_create(&rendezvous->thread, NULL, run, rendezvous);
        rendezvous->is_running = error == 0;
    }
    if (error < 0) {
        rendezvous_close(rendezvous);
        return error;
    }
    snprintf(ret_variable, RENDEZVOUS_VARIABLE_MAX, "%s=%s:%s", variable, name, secret);
    return 0;
}

void rendezvous_close(struct rendezvous *rendezvous) {
    if (rendezvous->socket < 0)
        return;
    (void)shutdown(rendezvous->socket, SHUT_RDWR);
    if (rendezvous->is_running)
        (void)pthread_join(rendezvous->thread, NULL);
    close(rendezvous->socket);
    *rendezvous = (struct rendezvous){.socket = -1};
}
