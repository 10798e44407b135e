// Owns keeping a server on loopback: preloaded, it turns a bind to every address into one to 127.0.0.1 (xrootd has no option for that).
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

int bind(int descriptor, const struct sockaddr *address, socklen_t length) {
  static int (*real)(int, const struct sockaddr *, socklen_t);
  if (!real) real = (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
  if (address->sa_family == AF_INET) {
    struct sockaddr_in copy = *(const struct sockaddr_in *)address;
    if (copy.sin_addr.s_addr == htonl(INADDR_ANY)) copy.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return real(descriptor, (const struct sockaddr *)&copy, sizeof copy);
  }
  if (address->sa_family == AF_INET6) {
    struct sockaddr_in6 copy = *(const struct sockaddr_in6 *)address;
    if (IN6_IS_ADDR_UNSPECIFIED(&copy.sin6_addr)) copy.sin6_addr = in6addr_loopback;
    return real(descriptor, (const struct sockaddr *)&copy, sizeof copy);
  }
  return real(descriptor, address, length);
}
