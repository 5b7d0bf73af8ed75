/** Where a command writes. */
export interface Terminal {
  out(line: string): void
  err(line: string): void
}

/** Standard output and standard error. */
export const processTerminal: Terminal = {
  out: line => process.stdout.write(`${line}\n`),
  err: line => process.stderr.write(`${line}\n`),
}
