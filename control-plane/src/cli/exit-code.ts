/** What the command ends with: as `sysexits.h` has it, so that scripts can tell wrong usage from wrong configuration. */
export const exitCode = {
  ok: 0,
  /** The command failed for a reason outside the configuration. */
  failed: 1,
  /** The command line is wrong. */
  usage: 64,
  /** The configuration is wrong. */
  badData: 65,
} as const

/** One of {@link exitCode}. */
export type ExitCode = (typeof exitCode)[keyof typeof exitCode]

/** The command line is wrong; the message says how. */
export class UsageError extends Error {}
