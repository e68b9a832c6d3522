/**
 * An instant as people write it, in UTC: `2026-03-01 12:00:00.250 UTC`.
 *
 * Reckoned by the calendar's own arithmetic, so that pure code needs no `Date`, which also reads the clock. Years count from March, so that
 * the leap day is a year's last; 400 years have 146,097 days.
 *
 * @param atMs milliseconds since 1970
 */
export function utc(atMs: number, precision: 'seconds' | 'milliseconds' = 'seconds'): string {
  const days = Math.floor(atMs / 86_400_000);
  const inDay = Math.floor(atMs - days * 86_400_000);
  const z = days + 719_468;
  const era = Math.floor(z / 146_097);
  const dayOfEra = z - era * 146_097;
  const yearOfEra = Math.floor((dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365);
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const day = dayOfYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  const time = [Math.floor(inDay / 3_600_000), Math.floor(inDay / 60_000) % 60, Math.floor(inDay / 1000) % 60].map((part) => pad(part, 2)).join(':');
  const fraction = precision === 'milliseconds' ? `.${pad(inDay % 1000, 3)}` : '';
  return `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)} ${time}${fraction} UTC`;
}

function pad(value: number, width: number): string {
  return String(value).padStart(width, '0');
}
