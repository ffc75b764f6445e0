// The generator of src/isolate/random.c: xoshiro256** (Blackman and Vigna, 2018), each word as two
// halves.
export function newRandom(state) {
  const s = new Uint32Array(8); // low and high half of each of the four words
  for (let i = 0; i < 32; i++) {
    s[i >> 2] |= Number.parseInt(state[2 * i] + state[2 * i + 1], 16) << (8 * (i & 3));
  }
  let low = 0;
  let high = 0;
  function times(small) {
    const product = low * small;
    high = (high * small + Math_floor(product / 4294967296)) >>> 0;
    low = product >>> 0;
  }
  // Sets low and high to the next number.
  function next() {
    const l = s[2];
    const h = s[3];
    low = l;
    high = h;
    times(5);
    const l5 = low;
    low = ((low << 7) | (high >>> 25)) >>> 0;
    high = ((high << 7) | (l5 >>> 25)) >>> 0;
    times(9);
    s[4] ^= s[0];
    s[5] ^= s[1];
    s[6] ^= s[2];
    s[7] ^= s[3];
    s[2] ^= s[4];
    s[3] ^= s[5];
    s[0] ^= s[6];
    s[1] ^= s[7];
    s[4] ^= l << 17;
    s[5] ^= (h << 17) | (l >>> 15);
    const l3 = s[6];
    const h3 = s[7];
    s[6] = (h3 << 13) | (l3 >>> 19); // rotated by 32 + 13
    s[7] = (l3 << 13) | (h3 >>> 19);
  }
  return {
    __proto__: null,
    number() {
      next();
      return (high * 2097152 + (low >>> 11)) * 2 ** -53;
    },
    fill(bytes, n) {
      for (let at = 0; at < n; at += 8) {
        next();
        for (let i = 0; i < 8 && at + i < n; i++) {
          bytes[at + i] = (i < 4 ? low : high) >>> (8 * (i & 3));
        }
      }
    },
  };
}

const Math_floor = Math.floor;
