import { describe, expect, it } from 'vitest';
import { meaningOf } from '../../src/probes/trouble.ts';

const coded = (code: string, message = 'its words'): Error => Object.assign(new Error(message), { code });

describe('what an error says of the other side', () => {
  it.each([
    'ECONNREFUSED',
    'ECONNRESET',
    'ECONNABORTED',
    'EPIPE',
    'ETIMEDOUT',
    'ENOTFOUND',
    'EPROTO',
    'CERT_HAS_EXPIRED',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'ERR_SSL_WRONG_VERSION_NUMBER',
    'HPE_INVALID_CONSTANT',
  ])('%s is down', (code) => {
    expect(meaningOf(coded(code))).toMatchObject({ outcome: 'down', words: expect.stringContaining(code) });
  });

  it.each([
    'ENETUNREACH',
    'ENETDOWN',
    'EHOSTUNREACH',
    'EADDRNOTAVAIL',
    'EMFILE',
    'ENFILE',
    'ENOBUFS',
    'EAI_AGAIN',
    'EACCES',
    'EPERM',
    'ESOMETHINGNEW',
    'toString',
  ])('I3: %s is our own trouble or not known, and never down', (code) => {
    expect(meaningOf(coded(code))).toMatchObject({ outcome: 'unknown', words: expect.stringContaining(code) });
  });

  it('I3: an error without a code is unknown, with its words', () => {
    expect(meaningOf(new Error('a surprise'))).toEqual({ outcome: 'unknown', words: 'a surprise' });
  });

  it('one address that refuses outweighs another that this host has no route to', () => {
    expect(meaningOf(new AggregateError([coded('ENETUNREACH'), coded('ECONNREFUSED')]))).toMatchObject({ outcome: 'down' });
  });

  it('I3: addresses that this host has no route to are unknown together', () => {
    expect(meaningOf(new AggregateError([coded('ENETUNREACH'), coded('EHOSTUNREACH')]))).toMatchObject({ outcome: 'unknown' });
  });
});
