/** Runs once before the tests of project `whole`; what it returns runs once after them. */
export default function setup(): () => void {
  return () => {};
}
