/** The licences of everything that runs in production, against those that a company's lawyer has nothing to ask about. Exit code 1 where one is not among them. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT, say } from './steps.mjs';

const ALLOWED = new Set(['0BSD', 'Apache-2.0', 'BSD-2-Clause', 'BSD-3-Clause', 'BlueOak-1.0.0', 'CC0-1.0', 'ISC', 'MIT', 'Python-2.0', 'Unlicense']);
/** By package, with its reason. */
const EXCEPTIONS = {
  'caniuse-lite': ['CC-BY-4.0', 'data about browsers, which webpack reads as it bundles the workflows; not a part of what it makes'],
};

const { packages } = JSON.parse(readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8'));
const complaints = [];
let count = 0;
for (const [place, { dev, license }] of Object.entries(packages)) {
  if (place === '' || dev === true) continue;
  count += 1;
  const name = place.slice(place.lastIndexOf('node_modules/') + 'node_modules/'.length);
  const words = license ?? fromPackage(place);
  if (!isAllowed(words) && EXCEPTIONS[name]?.[0] !== words) complaints.push(`${name}: ${words ?? 'no licence'}`);
}
if (complaints.length > 0) {
  say(`${complaints.join('\n')}\nNext: read it, then add it to scripts/licences.mjs with the reason, or do without the package`);
  process.exitCode = 1;
} else say(`${count} packages`);

/** `MIT`, `(MIT OR GPL-2.0)`: one may be chosen; `Apache-2.0 AND MIT`: both hold. */
function isAllowed(expression) {
  if (typeof expression !== 'string') return false;
  const bare = expression.replace(/^\((.*)\)$/, '$1');
  if (bare.includes(' OR ')) return bare.split(' OR ').some(isAllowed);
  return bare.split(' AND ').every((one) => ALLOWED.has(one.trim()));
}

/** Where the lock file does not say: old packages wrote an object, or a list of them. */
function fromPackage(place) {
  const { license, licenses } = JSON.parse(readFileSync(path.join(ROOT, place, 'package.json'), 'utf8'));
  if (typeof license === 'string') return license;
  const [found] = [license, licenses].flat().filter((one) => one !== undefined);
  return found?.type;
}
