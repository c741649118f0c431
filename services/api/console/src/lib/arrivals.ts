let waiting = false;

/**
 * A new page is announced by its heading, which takes the focus. The page may come later than the
 * change of the address (it is loaded on demand), so the change leaves word here.
 */
export const arrivals = {
  leaveWord(): void {
    waiting = true;
  },
  takeOne(): boolean {
    const found = waiting;
    waiting = false;
    return found;
  },
};
