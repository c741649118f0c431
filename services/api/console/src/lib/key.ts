/** The API key of this tab. It is kept for the tab's life only, and sent to our own origin only. */
const NAME = "oncely.key";

export const key = {
  read(): string | null {
    return sessionStorage.getItem(NAME);
  },
  write(value: string): void {
    sessionStorage.setItem(NAME, value);
  },
  forget(): void {
    sessionStorage.removeItem(NAME);
  },
};
