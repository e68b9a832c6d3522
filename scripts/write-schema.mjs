/** Writes understudy.schema.json from the compiled schema; the test of the same name fails where it was forgotten. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { ROOT, say } from './steps.mjs';

const { jsonSchemaText } = await import(path.join(ROOT, 'dist', 'src', 'model', 'config-schema.js'));
const file = path.join(ROOT, 'understudy.schema.json');
const text = jsonSchemaText();
if (!existsSync(file) || readFileSync(file, 'utf8') !== text) {
  writeFileSync(file, text);
  say('build: understudy.schema.json rewritten');
}
