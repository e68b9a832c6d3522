import { fc, it as property } from '@fast-check/vitest';
import { describe, expect, it } from 'vitest';
import { REDACTED, Redactor } from '../../src/runtime/redact.ts';

describe('I9: what leaves this machine holds no secret', () => {
  const redactor = new Redactor(['hunter2/"x"', 'YWJjZA==']);

  it.each([
    ['as it is', 'a hunter2/"x" b'],
    ['in JSON', JSON.stringify({ note: 'hunter2/"x"' })],
    ['in JSON in JSON', JSON.stringify(JSON.stringify({ note: 'YWJjZA==' }))],
    ['in an address', `https://x/?p=${encodeURIComponent('hunter2/"x"')}`],
    ['in base64', Buffer.from('hunter2/"x"').toString('base64')],
    ['in hex', Buffer.from('hunter2/"x"').toString('hex')],
  ])('one that is known, %s', (_, text) => {
    const clean = redactor.scrub(text);
    expect(clean).toContain(REDACTED);
    expect(clean).not.toMatch(/hunter2|YWJjZA|aHVudGVyMi|68756e746572/);
  });

  it.each([
    ['a password in a log line', '{"msg":"x","password":"sesame-1"}', 'sesame-1'],
    ['one in a connection string', "host='a' password='sesame-1' port=1", 'sesame-1'],
    ['one in an address', 'postgres://app:sesame-1@db:5432/x', 'sesame-1'],
    ['one in the environment', 'PGPASSWORD=sesame-1', 'sesame-1'],
    ['a verifier', 'alter role r password SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy', 'c3RvcmVk'],
    ['a header', 'authorization: Bearer eyJhbGci.sesame', 'sesame'],
    ['a key', '-----BEGIN EC PRIVATE KEY-----\nsesame\n-----END EC PRIVATE KEY-----', 'sesame'],
  ])('what looks like one: %s', (_, text, secret) => {
    expect(redactor.scrub(text)).not.toContain(secret);
  });

  it.each(['{"secret":{"env":"UNDERSTUDY_TSIG"}}', '{"password": {"file": "/etc/p"}}', '{"token":null,"password":true,"secret":7}', 'no password was needed'])(
    'names stay, and JSON stays JSON: %s',
    (text) => expect(redactor.scrub(text)).toBe(text),
  );

  property.prop([fc.string({ minLength: 6, unit: 'binary' }), fc.string(), fc.string()])('whatever the secret is', (secret, before, after) => {
    const clean = new Redactor([secret]).scrub(`${before}${secret}${after}`);
    fc.pre(!`${before}${REDACTED}${after}`.includes(secret));
    expect(clean).not.toContain(secret);
  });
});
