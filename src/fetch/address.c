/* address.c - which addresses belong to the public internet (RFC 6890 and its registries).
 *
 * For deployments that keep functions away from their own network.  The check is made on the
 * address that is about to be connected to, so that names cannot dodge it.
 *
 * Thread: any.  Memory: none.
 */
#include <arpa/inet.h>
#include <netinet/in.h>

#include "fetch/fetch_int.h"

struct net4 {
	uint32_t net;
	int      bits;
};

#define NET4(a, b, c, d, bits)                                                \
	{ (uint32_t)(a) << 24 | (uint32_t)(b) << 16 | (uint32_t)(c) << 8 | (uint32_t)(d), (bits) }

static bool
public4(uint32_t addr)
{
	static const struct net4 special[] = {
		NET4(0, 0, 0, 0, 8),       /* this network */
		NET4(10, 0, 0, 0, 8),      /* private */
		NET4(100, 64, 0, 0, 10),   /* shared by providers */
		NET4(127, 0, 0, 0, 8),     /* loopback */
		NET4(169, 254, 0, 0, 16),  /* link-local, cloud metadata */
		NET4(172, 16, 0, 0, 12),   /* private */
		NET4(192, 0, 0, 0, 24),    /* protocol assignments */
		NET4(192, 168, 0, 0, 16),  /* private */
		NET4(198, 18, 0, 0, 15),   /* benchmarking */
		NET4(224, 0, 0, 0, 3),     /* multicast, reserved, broadcast */
	};

	for (size_t i = 0; i < COUNT_OF(special); i++) {
		if ((addr ^ special[i].net) >> (32 - special[i].bits) == 0)
			return false;
	}
	return true;
}

static uint32_t
embedded4(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool
public6(const uint8_t a[16])
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	static const uint8_t nat64[12] = { 0x00, 0x64, 0xff, 0x9b };

	if (memcmp(a, mapped, 12) == 0 || memcmp(a, nat64, 12) == 0)
		return public4(embedded4(a + 12));
	if (a[0] == 0x20 && a[1] == 0x02) /* 6to4 */
		return public4(embedded4(a + 2));
	return (a[0] & 0xe0) == 0x20; /* global unicast is 2000::/3 */
}

bool
address_is_public(const struct sockaddr *addr)
{
	if (addr->sa_family == AF_INET) {
		struct sockaddr_in v4;

		memcpy(&v4, addr, sizeof v4);
		return public4(ntohl(v4.sin_addr.s_addr));
	}
	if (addr->sa_family == AF_INET6) {
		struct sockaddr_in6 v6;

		memcpy(&v6, addr, sizeof v6);
		return public6(v6.sin6_addr.s6_addr);
	}
	return false;
}
