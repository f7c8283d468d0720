// Connects the images in the webui's galleries with the players below them.
//
// The player of the selected image is highlighted, and a playhead moves over the large image. A click on the image plays
// from that position; its lower edge is a slider. The webui's viewer (lightbox) opens with a double click or with the
// button in the image's corner; Settings -> Riffusion restores the single click. Space plays and pauses.
//
// Images and players are matched by the image's file name, never by their order: the gallery also has grids and masks.

(() => {
    "use strict";

    const TABS = ["txt2img", "img2img"];
    const PLAYERS = ".riffusion-clip audio, .riffusion-cell audio"; // players of the extension, those of its tab included
    const REDUCED_MOTION = matchMedia("(prefers-reduced-motion: reduce)");
    const KEY_STEPS = 40; // presses of an arrow key from one end to the other

    const root = () => (typeof gradioApp === "function" ? gradioApp() : document);
    const setting = (name) => (typeof opts === "object" && opts ? opts[name] : undefined);
    const translated = (text) => (typeof localization === "object" && localization && localization[text]) || text;

    // The file name in a URL, verbatim and decoded: gradio does not encode file names of the webui.
    function fileNames(address) {
        const names = [address.split(/[?#]/)[0]];
        try {
            names.push(decodeURIComponent(names[0]));
        } catch {
            // a percent sign in the file name
        }
        return names.map((name) => name.split(/[\\/]/).pop());
    }

    const duration = (audio) => (Number.isFinite(audio.duration) ? audio.duration : 0);
    const play = (audio) => audio.play().catch(() => {}); // the player shows the error
    const toggle = (audio) => (audio.paused ? play(audio) : audio.pause());

    function seek(audio, share) {
        if (audio.readyState > 0) {
            audio.currentTime = Math.min(Math.max(share, 0), 1) * duration(audio);
        } else {
            audio.addEventListener("loadedmetadata", () => seek(audio, share), {once: true});
        }
    }

    // Offset of an image in its element, from the computed object-position: "50% 0%", "10px 50%" or
    // "calc(100% - 10px) 50%". Where the image is larger than the element, `free` and a percentage of it are negative.
    function roomBefore(position, free) {
        let before = 0;
        for (const [, sign, number, unit] of position.matchAll(/([+-]?)\s*([\d.]+)(%|px)/g)) {
            before += (sign === "-" ? -1 : 1) * Number(number) * (unit === "%" ? free / 100 : 1);
        }
        return before;
    }

    // Box of the drawn image within its element: gradio leaves bars at two sides, SD.Next one below.
    function drawnBox(image) {
        const box = image.getBoundingClientRect();
        const {naturalWidth, naturalHeight} = image;
        if (!naturalWidth || !["contain", "scale-down"].includes(getComputedStyle(image).objectFit)) {
            return box;
        }
        let scale = Math.min(box.width / naturalWidth, box.height / naturalHeight);
        if (getComputedStyle(image).objectFit === "scale-down") {
            scale = Math.min(scale, 1);
        }
        const [width, height] = [naturalWidth * scale, naturalHeight * scale];
        const [across, down] = getComputedStyle(image).objectPosition.match(/calc\([^)]*\)|\S+/g);
        const [x, y] = [roomBefore(across, box.width - width), roomBefore(down, box.height - height)];
        return new DOMRect(box.x + x, box.y + y, width, height);
    }

    // One gallery, with a timeline over its large image.
    class View {
        constructor(gallery, tab) {
            this.gallery = gallery;
            this.tab = tab;
            this.image = null;
            this.audio = null;
            this.frame = 0; // id of the requested animation frame, 0 for none
            this.pressed = false;
            this.beforeClick = null; // state of the player before a click, which a double click restores
            this.passThrough = false; // whether clicks go to the webui
            this.build();
            this.mutations = new MutationObserver((records) => {
                if (records.some((record) => !this.timeline.contains(record.target))) {
                    this.match();
                }
            });
            this.mutations.observe(gallery, {
                childList: true,
                subtree: true,
                attributes: true,
                attributeFilter: ["src", "class"],
            });
            this.sizes = new ResizeObserver(() => this.place());
            this.sizes.observe(gallery);
            this.match();
        }

        build() {
            this.timeline = document.createElement("div");
            this.timeline.className = "riffusion-timeline";
            this.timeline.hidden = true;
            this.timeline.innerHTML =
                '<div class="riffusion-strip" role="slider" tabindex="0" aria-valuemin="0"></div>' +
                '<div class="riffusion-played"></div><div class="riffusion-playhead"></div>' +
                '<button type="button" class="riffusion-larger">\u2922</button>';
            this.strip = this.timeline.firstElementChild;
            this.strip.title = translated("Play from here. Space plays and pauses.");
            this.strip.addEventListener("pointerdown", (event) => this.press(event));
            this.strip.addEventListener("pointermove", (event) => this.drag(event));
            this.strip.addEventListener("mousedown", (event) => event.preventDefault()); // keeps the focus where it is
            this.strip.addEventListener("click", (event) => this.tap(event));
            this.strip.addEventListener("keydown", (event) => this.key(event));
            this.larger = this.timeline.lastElementChild;
            this.larger.title = translated("Open the image in the viewer");
            this.larger.setAttribute("aria-label", this.larger.title);
            this.larger.addEventListener("click", (event) => {
                event.stopPropagation();
                this.enlarge();
            });
            this.listeners = new AbortController();
            for (const type of ["click", "dblclick"]) {
                // Captured, because the webui listens at the image, and gradio around it.
                const options = {capture: true, signal: this.listeners.signal};
                this.gallery.addEventListener(type, (event) => this.clicked(event), options);
            }
        }

        drop() {
            this.listeners.abort();
            this.hint("");
            this.mutations.disconnect();
            this.sizes.disconnect();
            cancelAnimationFrame(this.frame);
            this.timeline.remove();
        }

        // Finds the large image and its player. Called whenever one of them may have changed.
        match() {
            const images = [...this.gallery.querySelectorAll(".preview img")];
            const image = images.find((candidate) => !candidate.closest(".thumbnails")) || null;
            const clip = image ? this.clipOf(image) : null;
            for (const item of root().querySelectorAll(`#${this.tab}_riffusion_players .riffusion-clip`)) {
                item.classList.toggle("riffusion-selected", item === clip);
                if (item === clip) {
                    item.setAttribute("aria-current", "true");
                } else {
                    item.removeAttribute("aria-current");
                }
            }
            if (image !== this.image) {
                if (this.image) {
                    this.sizes.unobserve(this.image);
                    this.hint("");
                }
                if (image) {
                    this.sizes.observe(image);
                }
                this.image = image;
            }
            this.audio = clip && clip.querySelector("audio");
            if (this.audio) {
                const label = `${translated("Position in the sound of the image")}: ${this.audio.getAttribute("aria-label")}`;
                this.strip.setAttribute("aria-label", label);
            }
            if (this.timeline.parentNode !== this.gallery) {
                this.gallery.append(this.timeline);
            }
            this.place();
        }

        clipOf(image) {
            const clips = [...root().querySelectorAll(`#${this.tab}_riffusion_players .riffusion-clip[data-picture]`)];
            const names = fileNames(image.getAttribute("src") || "").filter(Boolean);
            const named = clips.find((clip) => names.includes(clip.dataset.picture));
            // An image that the webui did not save has a random name. A single one belongs to the single player.
            const alone = clips.length === 1 && !clips[0].dataset.picture && this.thumbnails().length === 1;
            return named || (alone ? clips[0] : null);
        }

        thumbnails() {
            return this.gallery.querySelectorAll(".preview .thumbnail-small");
        }

        place() {
            const box = this.audio ? drawnBox(this.image) : null;
            this.timeline.hidden = !box || !box.width || !box.height;
            this.whole = !this.timeline.hidden && setting("riffusion_click_plays") !== false;
            this.larger.hidden = !this.whole || setting("js_modal_lightbox") === false;
            this.hint(this.whole ? translated("Click: play from here. Double click: open the viewer.") : "");
            if (this.timeline.hidden) {
                return;
            }
            const outer = this.gallery.getBoundingClientRect();
            const style = this.timeline.style;
            style.left = `${box.x - outer.x - this.gallery.clientLeft + this.gallery.scrollLeft}px`;
            style.top = `${box.y - outer.y - this.gallery.clientTop + this.gallery.scrollTop}px`;
            style.width = `${box.width}px`;
            style.height = `${box.height}px`;
            this.show();
        }

        // Sets the tooltip that says what a click on the image does.
        hint(text) {
            if (this.image && this.image.title !== text) {
                this.image.title = text;
                this.image.classList.toggle("riffusion-seeks", text !== "");
            }
        }

        show() {
            const {audio, strip} = this;
            const [at, all] = [audio.currentTime, duration(audio)];
            this.timeline.style.setProperty("--riffusion-at", all ? Math.min(at / all, 1) : 0);
            const text = `${at.toFixed(1)} / ${all.toFixed(1)} s`;
            if (strip.getAttribute("aria-valuetext") !== text) {
                strip.setAttribute("aria-valuemax", all.toFixed(1));
                strip.setAttribute("aria-valuenow", at.toFixed(1));
                strip.setAttribute("aria-valuetext", text);
            }
            if (!this.frame && !audio.paused && !REDUCED_MOTION.matches) {
                this.frame = requestAnimationFrame(() => {
                    this.frame = 0;
                    if (this.audio && !this.timeline.hidden) {
                        this.show();
                    }
                });
            }
        }

        seekTo(event) {
            const box = this.timeline.getBoundingClientRect();
            seek(this.audio, (event.clientX - box.x) / box.width);
        }

        start(event) {
            // Focuses the thumbnail, as a click in the gallery does: left and right select images, Space plays.
            const chosen = [...this.thumbnails()].find((item) => item.classList.contains("selected"));
            (chosen || this.strip).focus({preventScroll: true});
            this.seekTo(event);
            play(this.audio);
        }

        // Handles a click on the large image before the webui and gradio do.
        clicked(event) {
            if (event.target !== this.image || !this.whole || this.passThrough || event.button !== 0) {
                return;
            }
            const box = drawnBox(this.image);
            const [x, y] = [event.clientX, event.clientY];
            const inside = x >= box.left && x <= box.right && y >= box.top && y <= box.bottom;
            if (!inside || event.ctrlKey || event.shiftKey || event.altKey || event.metaKey) {
                return;
            }
            event.preventDefault();
            event.stopPropagation();
            if (event.type === "dblclick") {
                this.undo();
                this.enlarge();
            } else if (event.detail < 2) {
                this.beforeClick = {audio: this.audio, paused: this.audio.paused, at: this.audio.currentTime};
                this.start(event);
            }
        }

        // Restores the player's state: the click was the first half of a double click.
        undo() {
            const before = this.beforeClick;
            if (before && before.audio === this.audio) {
                if (before.paused) {
                    this.audio.pause();
                }
                this.audio.currentTime = before.at;
            }
            this.beforeClick = null;
        }

        // Opens the webui's viewer.
        enlarge() {
            this.passThrough = true;
            this.image.click();
            this.passThrough = false;
        }

        // A mouse plays on press. A finger plays on release, because a press may begin to scroll the page.
        press(event) {
            this.pressed = event.pointerType !== "touch" && event.button === 0;
            if (this.pressed) {
                this.strip.setPointerCapture(event.pointerId);
                this.start(event);
            }
        }

        tap(event) {
            event.stopPropagation(); // the webui sends a request at each click in the gallery
            if (event.detail === 0) {
                toggle(this.audio); // from a screen reader: it has no position
            } else if (!this.pressed) {
                this.start(event);
            }
            this.pressed = false;
        }

        drag(event) {
            if (this.strip.hasPointerCapture(event.pointerId)) {
                this.seekTo(event);
            }
        }

        key(event) {
            const all = duration(this.audio);
            const at = all ? this.audio.currentTime / all : 0;
            const target = {
                ArrowLeft: at - 1 / KEY_STEPS,
                ArrowDown: at - 1 / KEY_STEPS,
                ArrowRight: at + 1 / KEY_STEPS,
                ArrowUp: at + 1 / KEY_STEPS,
                PageDown: at - 5 / KEY_STEPS,
                PageUp: at + 5 / KEY_STEPS,
                Home: 0,
                End: 1,
            }[event.key];
            if (target === undefined || event.ctrlKey || event.altKey || event.metaKey) {
                return;
            }
            event.preventDefault();
            event.stopPropagation(); // else left and right select images in the gallery
            seek(this.audio, target);
        }

        // Whether Space at this element plays the image's sound: not at other thumbnails and the gallery's buttons.
        owns(element) {
            return (
                this.audio &&
                this.gallery.contains(element) &&
                element.matches(".riffusion-strip, .preview, .image-button, .thumbnail-item.selected")
            );
        }
    }

    const views = new Map();

    function refresh() {
        for (const [gallery, view] of views) {
            if (gallery.isConnected) {
                view.match();
            } else {
                view.drop();
                views.delete(gallery);
            }
        }
        for (const tab of TABS) {
            const gallery = root().querySelector(`#${tab}_gallery`);
            if (gallery && !views.has(gallery) && root().querySelector(`#${tab}_riffusion_players`)) {
                views.set(gallery, new View(gallery, tab));
            }
        }
    }

    // The player that Space toggles when an element has the focus, or null. Audio elements have their own keys.
    function soundAt(element) {
        if (!(element instanceof Element) || element.matches("audio, input, textarea, select") || element.isContentEditable) {
            return null;
        }
        const clip = element.closest(".riffusion-clip");
        const view = [...views.values()].find((candidate) => candidate.owns(element));
        return clip ? clip.querySelector("audio") : view ? view.audio : null;
    }

    function onSpace(event) {
        const plain = event.key === " " && !event.ctrlKey && !event.altKey && !event.metaKey && !event.shiftKey;
        const audio = plain && !event.defaultPrevented ? soundAt(event.target) : null;
        if (!audio) {
            return;
        }
        event.preventDefault(); // else the page scrolls, or a button is clicked, in some browsers at keyup
        if (event.type === "keydown" && !event.repeat) {
            toggle(audio);
        }
    }

    function onMedia(event) {
        const audio = event.target;
        if (!(audio instanceof HTMLAudioElement)) {
            return;
        }
        if (event.type === "play" && audio.matches(PLAYERS)) {
            for (const other of root().querySelectorAll(PLAYERS)) {
                if (other !== audio) {
                    other.pause();
                }
            }
        }
        for (const view of views.values()) {
            if (view.audio === audio && !view.timeline.hidden) {
                view.show();
            }
        }
    }

    // Media events do not bubble, but they can be captured: no player needs its own listener.
    for (const type of ["play", "pause", "timeupdate", "seeked", "loadedmetadata"]) {
        document.addEventListener(type, onMedia, true);
    }
    document.addEventListener("keydown", onSpace, true);
    document.addEventListener("keyup", onSpace, true);
    // An image has its natural size once it is loaded.
    document.addEventListener("load", (event) => views.forEach((v) => v.image === event.target && v.place()), true);

    if (typeof onAfterUiUpdate === "function") {
        onAfterUiUpdate(refresh);
    } else {
        new MutationObserver(refresh).observe(document.documentElement, {childList: true, subtree: true});
    }
})();
