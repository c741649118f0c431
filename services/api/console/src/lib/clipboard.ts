/** Browsers give the clipboard to https and loopback only; elsewhere the text can be selected. */
export function canCopy(): boolean {
  return (navigator.clipboard as Clipboard | undefined) !== undefined;
}

export async function copyText(text: string): Promise<void> {
  if (!canCopy()) throw new Error(`This browser copies on https only. The text: ${text}`);
  await navigator.clipboard.writeText(text);
}
